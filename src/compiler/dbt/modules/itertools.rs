//! `modules.itertools`, as far as its functions take no functions.

use minijinja::value::{Tuple, Value};
use minijinja::{Error, ErrorKind};

use super::Given;

/// More than a template can mean.
const MAX_ITEMS: usize = 1_000_000;

fn items(value: Option<&Value>) -> Result<Vec<Value>, Error> {
    match value {
        Some(value) => Ok(value.try_iter()?.collect()),
        None => Err(Error::from(ErrorKind::MissingArgument)),
    }
}

fn tuples(rows: Vec<Vec<Value>>) -> Value {
    Value::from_iter(rows.into_iter().map(|row| Value::from(Tuple::from(row))))
}

fn limited(count: usize) -> Result<(), Error> {
    match count > MAX_ITEMS {
        true => Err(Error::new(ErrorKind::InvalidOperation, "too many items")),
        false => Ok(()),
    }
}

pub(super) fn call(function: &str, args: &Given<'_>) -> Option<Result<Value, Error>> {
    Some(match function {
        "product" => product(args),
        "chain" => chain(args.positional),
        "chain.from_iterable" => items(args.positional.first()).and_then(|lists| chain(&lists)),
        "combinations" => chosen(args, &|places, n| {
            places.windows(2).all(|pair| pair[0] < pair[1]) && places.len() <= n
        }),
        "combinations_with_replacement" => chosen(args, &|places, _| {
            places.windows(2).all(|pair| pair[0] <= pair[1])
        }),
        "permutations" => chosen(args, &|places, _| {
            (1..places.len()).all(|i| !places[..i].contains(&places[i]))
        }),
        "zip_longest" => zip_longest(args),
        "islice" => islice(args),
        "repeat" => repeat(args),
        "accumulate" => accumulate(args),
        "count" => Ok(Value::from_iter((0..10_000).map(Value::from))),
        _ => return None,
    })
}

fn product(args: &Given<'_>) -> Result<Value, Error> {
    let mut lists = Vec::new();
    for list in args.positional {
        lists.push(items(Some(list))?);
    }
    let times = args.named.iter().find(|(name, _)| name == "repeat");
    if let Some(times) = times.and_then(|(_, value)| value.as_usize()) {
        lists = std::iter::repeat_n(lists, times.min(20))
            .flatten()
            .collect();
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in &lists {
        limited(rows.len().saturating_mul(list.len()))?;
        rows = rows
            .iter()
            .flat_map(|row| {
                list.iter().map(|item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            })
            .collect();
    }
    Ok(tuples(rows))
}

fn chain(lists: &[Value]) -> Result<Value, Error> {
    let mut all = Vec::new();
    for list in lists {
        all.extend(items(Some(list))?);
    }
    Ok(Value::from(all))
}

// The choices of `r` places that `keep` accepts, in the order of the places. A choice is given up as soon as it is refused.
fn chosen(args: &Given<'_>, keep: &dyn Fn(&[usize], usize) -> bool) -> Result<Value, Error> {
    let list = items(args.positional.first())?;
    let count = args
        .get(1, "r")
        .and_then(Value::as_usize)
        .unwrap_or(list.len());
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for row in &rows {
            for place in 0..list.len() {
                let mut row = row.clone();
                row.push(place);
                if keep(&row, list.len()) {
                    longer.push(row);
                }
            }
            limited(longer.len())?;
        }
        rows = longer;
    }
    let pick = |row: Vec<usize>| {
        row.into_iter()
            .filter_map(|i| list.get(i).cloned())
            .collect()
    };
    Ok(tuples(rows.into_iter().map(pick).collect()))
}

fn zip_longest(args: &Given<'_>) -> Result<Value, Error> {
    let mut lists = Vec::new();
    for list in args.positional {
        lists.push(items(Some(list))?);
    }
    let fill = args.named.iter().find(|(name, _)| name == "fillvalue");
    let fill = fill.map_or(Value::from(()), |(_, value)| value.clone());
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |i: usize| {
        lists
            .iter()
            .map(|list| list.get(i).cloned().unwrap_or_else(|| fill.clone()))
            .collect()
    };
    Ok(tuples((0..longest).map(row).collect()))
}

fn islice(args: &Given<'_>) -> Result<Value, Error> {
    let list = items(args.positional.first())?;
    let number = |i: usize| args.positional.get(i).and_then(Value::as_usize);
    let (start, stop) = match args.positional.len() {
        2 => (0, number(1)),
        _ => (number(1).unwrap_or(0), number(2)),
    };
    let step = number(3).unwrap_or(1).max(1);
    let stop = stop.unwrap_or(list.len()).min(list.len());
    let taken = list.into_iter().take(stop).skip(start).step_by(step);
    Ok(Value::from_iter(taken))
}

fn repeat(args: &Given<'_>) -> Result<Value, Error> {
    let value = args.positional.first().cloned().unwrap_or_default();
    let Some(times) = args.get(1, "times").and_then(Value::as_usize) else {
        return Err(Error::new(
            ErrorKind::MissingArgument,
            "`repeat` without a number of times does not end",
        ));
    };
    limited(times)?;
    Ok(Value::from_iter(std::iter::repeat_n(value, times)))
}

fn accumulate(args: &Given<'_>) -> Result<Value, Error> {
    let mut sum = 0.0;
    let mut whole = true;
    let mut out = Vec::new();
    for item in items(args.positional.first())? {
        whole &= item.is_integer();
        sum += f64::try_from(item)?;
        out.push(match whole {
            true => Value::from(sum as i64),
            false => Value::from(sum),
        });
    }
    Ok(Value::from(out))
}
