//! SQL types as DuckDB names them, parsed into a structure that can be compared and printed back.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A DuckDB logical type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SqlType {
    /// The type of an untyped NULL.
    Null,
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    HugeInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    UHugeInt,
    /// Arbitrary-precision integer.
    BigNum,
    Float,
    Double,
    Decimal(u8, u8),
    Varchar,
    Blob,
    Bit,
    Date,
    Time,
    TimeNs,
    TimeTz,
    Timestamp,
    TimestampS,
    TimestampMs,
    TimestampNs,
    TimestampTz,
    Interval,
    Uuid,
    Json,
    Enum(Vec<String>),
    List(Box<SqlType>),
    Array(Box<SqlType>, u64),
    Struct(Vec<(String, SqlType)>),
    Map(Box<SqlType>, Box<SqlType>),
    Union(Vec<(String, SqlType)>),
    /// A user-defined or newer type we only know by name.
    Other(String),
}

impl SqlType {
    pub fn list(item: SqlType) -> Self {
        Self::List(Box::new(item))
    }

    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::TinyInt
                | Self::SmallInt
                | Self::Integer
                | Self::BigInt
                | Self::HugeInt
                | Self::UTinyInt
                | Self::USmallInt
                | Self::UInteger
                | Self::UBigInt
                | Self::UHugeInt
                | Self::BigNum
        )
    }

    pub fn is_numeric(&self) -> bool {
        self.is_integer() || matches!(self, Self::Float | Self::Double | Self::Decimal(..))
    }

    /// Reads a type as DuckDB prints or accepts it; an unknown name is kept as [`SqlType::Other`].
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { rest: text.trim() };
        match parser.ty() {
            Some(ty) if parser.rest.trim().is_empty() => ty,
            _ => Self::Other(text.trim().to_owned()),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn ty(&mut self) -> Option<SqlType> {
        let mut ty = self.base()?;
        loop {
            self.space();
            if let Some(rest) = self.rest.strip_prefix("[]") {
                self.rest = rest;
                ty = SqlType::list(ty);
            } else if let Some(inner) = self.rest.strip_prefix('[') {
                let end = inner.find(']')?;
                let size = inner.get(..end)?.trim().parse().ok()?;
                self.rest = inner.get(end + 1..)?;
                ty = SqlType::Array(Box::new(ty), size);
            } else {
                return Some(ty);
            }
        }
    }

    fn base(&mut self) -> Option<SqlType> {
        self.space();
        let name = self.words();
        let upper = name.to_ascii_uppercase();
        Some(match upper.as_str() {
            "\"NULL\"" | "NULL" | "SQLNULL" => SqlType::Null,
            "BOOLEAN" | "BOOL" | "LOGICAL" => SqlType::Boolean,
            "TINYINT" | "INT1" => SqlType::TinyInt,
            "SMALLINT" | "INT2" | "INT16" | "SHORT" => SqlType::SmallInt,
            "INTEGER" | "INT" | "INT4" | "INT32" | "SIGNED" => SqlType::Integer,
            "BIGINT" | "INT8" | "INT64" | "LONG" => SqlType::BigInt,
            "HUGEINT" | "INT128" => SqlType::HugeInt,
            "UTINYINT" | "UINT8" => SqlType::UTinyInt,
            "USMALLINT" | "UINT16" => SqlType::USmallInt,
            "UINTEGER" | "UINT32" => SqlType::UInteger,
            "UBIGINT" | "UINT64" => SqlType::UBigInt,
            "UHUGEINT" | "UINT128" => SqlType::UHugeInt,
            "BIGNUM" | "VARINT" => SqlType::BigNum,
            "FLOAT" | "FLOAT4" | "REAL" => SqlType::Float,
            "DOUBLE" | "FLOAT8" | "DOUBLE PRECISION" => SqlType::Double,
            "DECIMAL" | "NUMERIC" | "DEC" => self.decimal()?,
            "VARCHAR" | "TEXT" | "STRING" | "CHAR" | "BPCHAR" | "NVARCHAR"
            | "CHARACTER VARYING" => {
                self.optional_arguments()?;
                SqlType::Varchar
            }
            "BLOB" | "BYTEA" | "BINARY" | "VARBINARY" => SqlType::Blob,
            "BIT" | "BITSTRING" => SqlType::Bit,
            "DATE" => SqlType::Date,
            "TIME" | "TIME WITHOUT TIME ZONE" => SqlType::Time,
            "TIME_NS" => SqlType::TimeNs,
            "TIME WITH TIME ZONE" | "TIMETZ" => SqlType::TimeTz,
            "TIMESTAMP" | "DATETIME" | "TIMESTAMP WITHOUT TIME ZONE" | "TIMESTAMP_US" => {
                SqlType::Timestamp
            }
            "TIMESTAMP_S" => SqlType::TimestampS,
            "TIMESTAMP_MS" => SqlType::TimestampMs,
            "TIMESTAMP_NS" => SqlType::TimestampNs,
            "TIMESTAMP WITH TIME ZONE" | "TIMESTAMPTZ" => SqlType::TimestampTz,
            "INTERVAL" => SqlType::Interval,
            "UUID" => SqlType::Uuid,
            "JSON" => SqlType::Json,
            "ENUM" => SqlType::Enum(self.enum_values()?),
            // A struct without fields exists, and is written without brackets.
            "STRUCT" if !self.rest.trim_start().starts_with('(') => SqlType::Other(name.to_owned()),
            "STRUCT" | "ROW" => SqlType::Struct(self.fields()?),
            "UNION" => SqlType::Union(self.fields()?),
            "MAP" => {
                self.expect('(')?;
                let key = self.ty()?;
                self.expect(',')?;
                let value = self.ty()?;
                self.expect(')')?;
                SqlType::Map(Box::new(key), Box::new(value))
            }
            "" => return None,
            // `TUPLE(INTEGER, VARCHAR)`, `GEOMETRY('OGC:CRS84')`.
            _ => {
                let arguments = self.bracketed()?;
                SqlType::Other(format!("{name}{arguments}"))
            }
        })
    }

    // `TIMESTAMP WITH TIME ZONE` is several words; a quoted name is one.
    fn words(&mut self) -> &'a str {
        let text = self.rest;
        let end = if text.starts_with('"') {
            quoted_end(text, '"').unwrap_or(text.len())
        } else {
            text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ' '))
                .unwrap_or(text.len())
        };
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        word.trim()
    }

    fn decimal(&mut self) -> Option<SqlType> {
        self.space();
        if !self.rest.starts_with('(') {
            return Some(SqlType::Decimal(18, 3));
        }
        self.expect('(')?;
        let width = self.number()?;
        self.space();
        let scale = if self.rest.starts_with(',') {
            self.expect(',')?;
            self.number()?
        } else {
            0
        };
        self.expect(')')?;
        Some(SqlType::Decimal(width, scale))
    }

    fn number(&mut self) -> Option<u8> {
        self.space();
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    // `VARCHAR(20)`: DuckDB accepts and ignores the length.
    fn optional_arguments(&mut self) -> Option<()> {
        self.space();
        if self.rest.starts_with('(') {
            let end = self.rest.find(')')?;
            self.rest = self.rest.get(end + 1..)?;
        }
        Some(())
    }

    /// Everything up to the bracket that closes the first one; nothing without brackets.
    fn bracketed(&mut self) -> Option<&'a str> {
        let text = self.rest;
        if !text.starts_with('(') {
            return Some("");
        }
        let (mut depth, mut at) = (0usize, 0);
        while let Some(c) = text.get(at..)?.chars().next() {
            match c {
                '\'' | '"' => at += quoted_end(text.get(at..)?, c)?,
                _ => at += c.len_utf8(),
            }
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let (inside, rest) = text.split_at(at);
                self.rest = rest;
                return Some(inside);
            }
        }
        None
    }

    fn enum_values(&mut self) -> Option<Vec<String>> {
        self.expect('(')?;
        let mut values = Vec::new();
        loop {
            self.space();
            let end = quoted_end(self.rest, '\'')?;
            values.push(self.rest.get(1..end - 1)?.replace("''", "'"));
            self.rest = self.rest.get(end..)?;
            self.space();
            if self.rest.starts_with(',') {
                self.expect(',')?;
            } else {
                self.expect(')')?;
                return Some(values);
            }
        }
    }

    fn fields(&mut self) -> Option<Vec<(String, SqlType)>> {
        self.expect('(')?;
        let mut fields = Vec::new();
        loop {
            self.space();
            let name = if self.rest.starts_with('"') {
                let end = quoted_end(self.rest, '"')?;
                let name = self.rest.get(1..end - 1)?.replace("\"\"", "\"");
                self.rest = self.rest.get(end..)?;
                name
            } else {
                let end = self.rest.find(char::is_whitespace)?;
                let (name, rest) = self.rest.split_at(end);
                self.rest = rest;
                name.to_owned()
            };
            fields.push((name, self.ty()?));
            self.space();
            if self.rest.starts_with(',') {
                self.expect(',')?;
            } else {
                self.expect(')')?;
                return Some(fields);
            }
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(wanted)?;
        Some(())
    }
}

// The end of a quoted text that starts `text`, its closing quote included; a doubled quote stays inside.
fn quoted_end(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    chars.next();
                }
                _ => return Some(i + quote.len_utf8()),
            }
        }
    }
    None
}

fn field_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let plain = name
        .chars()
        .enumerate()
        .all(|(i, c)| c == '_' || c.is_ascii_lowercase() || (i > 0 && c.is_ascii_digit()));
    if plain && !name.is_empty() {
        f.write_str(name)
    } else {
        write!(f, "\"{}\"", name.replace('"', "\"\""))
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[(String, SqlType)]) -> fmt::Result {
    f.write_str("(")?;
    for (i, (name, ty)) in fields.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        field_name(f, name)?;
        write!(f, " {ty}")?;
    }
    f.write_str(")")
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Null => "\"NULL\"",
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::HugeInt => "HUGEINT",
            Self::UTinyInt => "UTINYINT",
            Self::USmallInt => "USMALLINT",
            Self::UInteger => "UINTEGER",
            Self::UBigInt => "UBIGINT",
            Self::UHugeInt => "UHUGEINT",
            Self::BigNum => "BIGNUM",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal(width, scale) => return write!(f, "DECIMAL({width},{scale})"),
            Self::Varchar => "VARCHAR",
            Self::Blob => "BLOB",
            Self::Bit => "BIT",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::TimeNs => "TIME_NS",
            Self::TimeTz => "TIME WITH TIME ZONE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampS => "TIMESTAMP_S",
            Self::TimestampMs => "TIMESTAMP_MS",
            Self::TimestampNs => "TIMESTAMP_NS",
            Self::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            Self::Interval => "INTERVAL",
            Self::Uuid => "UUID",
            Self::Json => "JSON",
            Self::Enum(values) => {
                f.write_str("ENUM(")?;
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "'{}'", value.replace('\'', "''"))?;
                }
                return f.write_str(")");
            }
            Self::List(item) => return write!(f, "{item}[]"),
            Self::Array(item, size) => return write!(f, "{item}[{size}]"),
            Self::Struct(fields) => {
                f.write_str("STRUCT")?;
                return write_fields(f, fields);
            }
            Self::Map(key, value) => return write!(f, "MAP({key}, {value})"),
            Self::Union(fields) => {
                f.write_str("UNION")?;
                return write_fields(f, fields);
            }
            Self::Other(name) => name,
        };
        f.write_str(name)
    }
}

impl Serialize for SqlType {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SqlType {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(de)?))
    }
}

#[cfg(test)]
mod tests {
    use super::SqlType;

    #[track_caller]
    fn round_trips(text: &str) {
        let ty = SqlType::parse(text);
        assert!(!matches!(ty, SqlType::Other(_)), "{text} is not understood");
        assert_eq!(ty.to_string(), text);
    }

    #[test]
    fn prints_what_duckdb_prints() {
        for text in [
            "BIGINT",
            "DECIMAL(10,2)",
            "TIMESTAMP WITH TIME ZONE",
            "VARCHAR[]",
            "INTEGER[3][]",
            "STRUCT(a INTEGER, \"B c\" VARCHAR[])",
            "MAP(VARCHAR, STRUCT(x DOUBLE))",
            "ENUM('a', 'it''s')",
            "UNION(num INTEGER, str VARCHAR)",
        ] {
            round_trips(text);
        }
    }

    #[test]
    fn types_without_a_form_of_their_own_keep_their_text() {
        for text in [
            "TUPLE(INTEGER, STRUCT(a INTEGER))",
            "GEOMETRY('a)')",
            "STRUCT",
        ] {
            assert_eq!(SqlType::parse(text), SqlType::Other(text.into()));
        }
        let text = "TUPLE(INTEGER, VARCHAR)[]";
        assert_eq!(SqlType::parse(text).to_string(), text);
    }

    #[test]
    fn accepts_the_spellings_of_contracts() {
        assert_eq!(SqlType::parse("decimal(10, 2)"), SqlType::Decimal(10, 2));
        assert_eq!(SqlType::parse("int"), SqlType::Integer);
        assert_eq!(SqlType::parse("varchar(20)"), SqlType::Varchar);
        assert_eq!(SqlType::parse("timestamptz"), SqlType::TimestampTz);
        assert_eq!(
            SqlType::parse("GEOMETRY"),
            SqlType::Other("GEOMETRY".into())
        );
    }
}
