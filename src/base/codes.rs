//! The registry of diagnostic codes. Each has a page under `grammar/codes`, whose examples are tests.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Severity;

/// A registered diagnostic code, e.g. `MX0203`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(u16);

pub struct CodeInfo {
    pub code: Code,
    /// A few words, as in the page's title.
    pub name: &'static str,
    /// Unless the project's `diagnostics:` says otherwise.
    pub severity: Severity,
    /// The page that `mxcp explain` prints.
    pub page: &'static str,
}

impl Code {
    /// Looks a code up by its text; case does not matter.
    pub fn parse(text: &str) -> Option<Self> {
        REGISTRY
            .iter()
            .find(|info| info.code.to_string().eq_ignore_ascii_case(text))
            .map(|info| info.code)
    }

    pub fn info(self) -> &'static CodeInfo {
        REGISTRY
            .iter()
            .find(|info| info.code == self)
            .unwrap_or(&REGISTRY[0])
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MX{:04}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! codes {
    ($($ident:ident = $number:literal $severity:ident $name:literal;)*) => {
        $(pub const $ident: Code = Code($number);)*

        /// All codes, by number.
        pub const REGISTRY: &[CodeInfo] = &[$(CodeInfo {
            code: $ident,
            name: $name,
            severity: Severity::$severity,
            page: include_str!(concat!("../../grammar/codes/", stringify!($ident), ".md")),
        }),*];
    };
}

codes! {
    MX0001 = 1 Error "no project found";
    MX0002 = 2 Error "file cannot be read";
    MX0003 = 3 Warning "file of another kind in this folder";
    MX0004 = 4 Warning "`.yaml` file is ignored";
    MX0005 = 5 Error "duplicate name";
    MX0006 = 6 Error "unknown profile";
    MX0007 = 7 Error "path outside the project";
    MX0008 = 8 Error "source file not found";
    MX0009 = 9 Warning "suppression that suppresses nothing";
    MX0010 = 10 Warning "secret that no profile has";
    MX0101 = 101 Error "YAML syntax";
    MX0102 = 102 Warning "duplicate key";
    MX0103 = 103 Error "unknown key";
    MX0104 = 104 Error "wrong type of value";
    MX0105 = 105 Error "missing key";
    MX0106 = 106 Error "value not allowed";
    MX0107 = 107 Error "exactly one of these keys is needed";
    MX0108 = 108 Error "constraint not met";
    MX0109 = 109 Error "several documents in one file";
    MX0110 = 110 Error "unsupported version";
    MX0111 = 111 Error "constraints that exclude every value";
    MX0112 = 112 Error "value is not of its type";
    MX0113 = 113 Warning "keyword of another type";
    MX0114 = 114 Warning "array without items";
    MX0115 = 115 Warning "list that says something else";
    MX0116 = 116 Error "required property not declared";
    MX0117 = 117 Warning "name that clients refuse";
    MX0201 = 201 Error "SQL syntax";
    MX0202 = 202 Error "unknown table";
    MX0203 = 203 Error "unknown column";
    MX0204 = 204 Error "unknown function";
    MX0205 = 205 Error "query cannot be bound";
    MX0206 = 206 Warning "several statements";
    MX0207 = 207 Error "parameter used but not declared";
    MX0208 = 208 Error "parameter declared but not used";
    MX0209 = 209 Warning "parameter differs only by case";
    MX0210 = 210 Info "result columns not known before run time";
    MX0211 = 211 Error "no SQL found";
    MX0212 = 212 Error "unknown type";
    MX0213 = 213 Warning "parameter does not fit its use";
    MX0214 = 214 Warning "parameter chooses what is read";
    MX0215 = 215 Warning "annotation contradicts the SQL";
    MX0216 = 216 Error "write under a read-only profile";
    MX0217 = 217 Warning "text that cannot be what it is compared with";
    MX0218 = 218 Warning "text that a parameter never is";
    MX0219 = 219 Warning "resource changes data";
    MX0220 = 220 Warning "conflict on columns that are no key";
    MX0301 = 301 Error "declared property missing from the result";
    MX0302 = 302 Error "result type differs from `return`";
    MX0303 = 303 Error "scalar `return` but several columns";
    MX0304 = 304 Error "column not allowed by `additionalProperties: false`";
    MX0305 = 305 Warning "format differs";
    MX0306 = 306 Warning "many rows where one is promised";
    MX0307 = 307 Warning "two columns of one name";
    MX0308 = 308 Warning "value that `return` does not allow";
    MX0309 = 309 Info "integer beyond 2^53";
    MX0401 = 401 Error "unknown ref";
    MX0402 = 402 Error "unknown source";
    MX0403 = 403 Error "models form a cycle";
    MX0404 = 404 Error "contract column missing from the model";
    MX0405 = 405 Error "contract type differs";
    MX0406 = 406 Info "model column missing from the contract";
    MX0407 = 407 Error "test on unknown column";
    MX0408 = 408 Error "Jinja syntax";
    MX0409 = 409 Error "Jinja name undefined";
    MX0410 = 410 Error "duplicate model";
    MX0411 = 411 Warning "properties for a model that does not exist";
    MX0412 = 412 Error "Jinja feature not supported";
    MX0413 = 413 Error "Jinja template fails";
    MX0414 = 414 Error "value that dbt does not understand";
    MX0415 = 415 Warning "key that dbt ignores";
    MX0416 = 416 Warning "configuration of nothing";
    MX0417 = 417 Error "unknown SQL type";
    MX0418 = 418 Error "seed value does not fit its type";
    MX0419 = 419 Error "index, key or constraint on unknown column";
    MX0420 = 420 Error "hook is not SQL";
    MX0421 = 421 Error "model is not one query";
    MX0422 = 422 Error "test cannot run";
    MX0423 = 423 Warning "described column does not exist";
    MX0424 = 424 Error "unit test names something unknown";
    MX0425 = 425 Error "duplicate test";
    MX0426 = 426 Warning "contract type differs in width";
    MX0427 = 427 Error "configuration value not allowed";
    MX0428 = 428 Warning "seed header";
    MX0429 = 429 Warning "table that dbt no longer builds";
    MX0430 = 430 Warning "snapshot cannot be taken";
    MX0431 = 431 Error "unit test of an unknown node";
    MX0432 = 432 Error "reference to a private model";
    MX0433 = 433 Error "microbatch model lacks a setting";
    MX0434 = 434 Warning "plugin that is not run here";
    MX0501 = 501 Error "Python function not found";
    MX0502 = 502 Error "Python syntax";
    MX0503 = 503 Error "inline Python is not supported";
    MX0504 = 504 Error "signature differs from the parameters";
    MX0505 = 505 Warning "language not said";
    MX0506 = 506 Warning "annotation differs from the declared type";
    MX0507 = 507 Error "name that `mxcp` does not offer";
    MX0508 = 508 Error "async and plain code mixed up";
    MX0509 = 509 Error "returned value differs from `return`";
    MX0510 = 510 Error "hook cannot run";
    MX0511 = 511 Warning "plugin module not found";
    MX0512 = 512 Error "plugin class cannot be made";
    MX0513 = 513 Error "plugin function without SQL types";
    MX0514 = 514 Error "parameters of `db.execute` do not fit";
    MX0515 = 515 Error "undefined name in Python";
    MX0516 = 516 Error "imported name not found";
    MX0517 = 517 Error "row has no such column";
    MX0518 = 518 Error "call does not fit the function";
    MX0601 = 601 Error "CEL syntax";
    MX0602 = 602 Error "unknown name in policy";
    MX0603 = 603 Error "unknown function in policy";
    MX0604 = 604 Error "`fields` missing";
    MX0605 = 605 Error "action not possible in this phase";
    MX0606 = 606 Error "types in a condition do not fit";
    MX0607 = 607 Warning "condition is decided beforehand";
    MX0608 = 608 Warning "policy names a field the result does not have";
    MX0609 = 609 Warning "policy without effect";
    MX0610 = 610 Warning "policy removes a required property";
    MX0611 = 611 Warning "deny without a reason";
    MX0612 = 612 Warning "sensitive column without a mark";
    MX0701 = 701 Error "unknown test argument";
    MX0702 = 702 Error "missing test argument";
    MX0703 = 703 Warning "eval names an unknown tool";
    MX0704 = 704 Error "undefined template variable";
    MX0705 = 705 Error "prompt template syntax";
    MX0706 = 706 Error "resource parameter not in the URI";
    MX0707 = 707 Error "URI variable without parameter";
    MX0708 = 708 Error "prompt without messages";
    MX0709 = 709 Error "test expects a field that cannot exist";
    MX0710 = 710 Error "test expects what the result cannot be";
    MX0711 = 711 Error "expectations contradict each other";
    MX0712 = 712 Error "test expects a denial that no policy gives";
    MX0713 = 713 Warning "test gives a caller what no policy reads";
    MX0714 = 714 Warning "eval names an unknown argument";
    MX0715 = 715 Warning "eval checks nothing";
    MX0716 = 716 Warning "unknown model";
    MX0717 = 717 Error "unknown filter, test or method in a template";
    MX0718 = 718 Warning "prompt parameter without use";
    MX0719 = 719 Warning "message of an unknown role or type";
    MX0720 = 720 Error "not a URI";
    MX0721 = 721 Error "URI template that matches nothing";
    MX0722 = 722 Warning "resources match the same URIs";
    MX0723 = 723 Warning "not a media type";
    MX0724 = 724 Warning "template reads what a parameter does not have";
    MX0725 = 725 Warning "template asks for a value outside the `enum`";
    MX0730 = 730 Error "test argument is not of its type";
    MX0731 = 731 Warning "eval expects an impossible argument";
    MX0801 = 801 Warning "database cannot be read";
    MX0802 = 802 Warning "database differs from the models";
    MX0803 = 803 Warning "database in memory";
    MX0822 = 822 Warning "listed twice";
    MX0823 = 823 Warning "secret that nothing provides";
    MX0824 = 824 Warning "unknown extension";
    MX0825 = 825 Warning "completion that offers nothing";
}

#[cfg(test)]
mod tests {
    use super::REGISTRY;

    #[test]
    fn every_page_starts_with_its_code_and_name() {
        for info in REGISTRY {
            let title = format!("# {}: {}", info.code, info.name);
            assert!(
                info.page.starts_with(&title),
                "the page of {} must start with {title:?}",
                info.code
            );
        }
    }

    #[test]
    fn every_page_is_registered() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grammar/codes");
        let mut pages: Vec<String> = std::fs::read_dir(dir)
            .expect("grammar/codes is there")
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .collect();
        pages.sort();
        let known: Vec<String> = REGISTRY.iter().map(|i| format!("{}.md", i.code)).collect();
        assert_eq!(pages, known);
    }
}
