//! The report as JUnit XML, in the form that CI systems read.

use std::fmt::Write as _;

use super::report::{EndpointReport, Status, TestReport, TestResult};

/// The report of a run. `name` stands for the endpoint when only one was asked for.
pub fn junit(report: &TestReport, name: &str, seconds: f64) -> String {
    let mut suites = String::new();
    let mut total = Count::default();
    match report {
        TestReport::One(report) => total.add(&suite(&mut suites, name, None, report)),
        TestReport::All { endpoints, .. } => {
            for entry in endpoints {
                total.add(&suite(
                    &mut suites,
                    entry.label(),
                    Some(&entry.path),
                    &entry.test_results,
                ));
            }
        }
    }
    total.seconds = seconds;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"mxcp\"{}>\n{suites}</testsuites>\n",
        total.attributes()
    )
}

#[derive(Default)]
struct Count {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    seconds: f64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }

    fn attributes(&self) -> String {
        format!(
            " tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.6}\"",
            self.tests, self.failures, self.errors, self.skipped, self.seconds
        )
    }
}

fn suite(out: &mut String, name: &str, path: Option<&str>, report: &EndpointReport) -> Count {
    let mut count = Count::default();
    let mut cases = String::new();
    let place = path.map_or_else(String::new, |path| attribute("file", path));
    for test in &report.tests {
        count.tests += 1;
        count.seconds += test.time;
        match test.status {
            Status::Passed | Status::Ok => {}
            Status::Failed => count.failures += 1,
            Status::Error => count.errors += 1,
        }
        case(&mut cases, name, &place, test);
    }
    // What cannot be tested is an error, what has no test is skipped: both are to be seen.
    let instead = match &report.message {
        Some(message) => {
            count.errors += 1;
            Some(("error", message.as_str(), " type=\"CompileError\""))
        }
        None if report.tests.is_empty() => {
            count.skipped += 1;
            Some(("skipped", "no tests are declared", ""))
        }
        None => None,
    };
    if let Some((tag, message, kind)) = instead {
        count.tests += 1;
        let _ = writeln!(
            cases,
            "    <testcase{}{}{place} time=\"0.000000\">\n      <{tag}{}{kind}/>\n    </testcase>",
            attribute("name", name),
            attribute("classname", name),
            attribute("message", message),
        );
    }
    let _ = writeln!(
        out,
        "  <testsuite{}{}>",
        attribute("name", name),
        count.attributes()
    );
    if let Some(path) = path {
        let _ = writeln!(
            out,
            "    <properties>\n      <property name=\"path\"{}/>\n    </properties>",
            attribute("value", path)
        );
    }
    out.push_str(&cases);
    out.push_str("  </testsuite>\n");
    count
}

fn case(out: &mut String, endpoint: &str, place: &str, test: &TestResult) {
    let _ = write!(
        out,
        "    <testcase{}{}{place} time=\"{:.6}\"",
        attribute("name", &test.name),
        attribute("classname", endpoint),
        test.time
    );
    let problem = match test.status {
        Status::Failed => Some(("failure", "AssertionFailed")),
        Status::Error => Some(("error", "CallFailed")),
        Status::Passed | Status::Ok => None,
    };
    if problem.is_none() && test.note.is_none() && test.description.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    if !test.description.is_empty() {
        let _ = writeln!(
            out,
            "      <properties>\n        <property name=\"description\"{}/>\n      </properties>",
            attribute("value", &test.description)
        );
    }
    if let Some((tag, kind)) = problem {
        let text = test.error.as_deref().unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let _ = writeln!(
            out,
            "      <{tag}{} type=\"{kind}\">{}</{tag}>",
            attribute("message", first),
            escaped(text, false)
        );
    }
    if let Some(note) = &test.note {
        let _ = writeln!(
            out,
            "      <system-out>{}</system-out>",
            escaped(note, false)
        );
    }
    out.push_str("    </testcase>\n");
}

fn attribute(name: &str, value: &str) -> String {
    format!(" {name}=\"{}\"", escaped(value, true))
}

/// XML has no way to write most control characters; they appear as `\x1b`.
fn escaped(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' if in_attribute => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::report::EndpointEntry;
    use super::*;

    fn test(name: &str, status: Status, error: Option<&str>, note: Option<&str>) -> TestResult {
        TestResult {
            name: name.into(),
            description: String::new(),
            status,
            error: error.map(str::to_owned),
            error_cause: None,
            note: note.map(str::to_owned),
            time: 0.5,
        }
    }

    fn entry(name: &str, report: EndpointReport) -> EndpointEntry {
        EndpointEntry {
            endpoint: format!("tool/{name}"),
            path: format!("tools/{name}.yml"),
            test_results: report,
        }
    }

    #[test]
    fn every_outcome_has_its_element() {
        let report = TestReport::all(vec![
            entry(
                "a",
                EndpointReport::new(vec![
                    test("fine", Status::Passed, None, None),
                    test(
                        "<b> & \"c\"",
                        Status::Failed,
                        Some("one\ntwo \u{1b}[0m"),
                        None,
                    ),
                    test("e", Status::Error, Some("boom"), Some("a note")),
                ]),
            ),
            entry("none", EndpointReport::new(Vec::new())),
            entry("broken", EndpointReport::missing("no column".into())),
        ]);
        let xml = junit(&report, "", 1.25);
        assert_eq!(
            xml,
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mxcp" tests="5" failures="1" errors="2" skipped="1" time="1.250000">
  <testsuite name="tool/a" tests="3" failures="1" errors="1" skipped="0" time="1.500000">
    <properties>
      <property name="path" value="tools/a.yml"/>
    </properties>
    <testcase name="fine" classname="tool/a" file="tools/a.yml" time="0.500000"/>
    <testcase name="&lt;b&gt; &amp; &quot;c&quot;" classname="tool/a" file="tools/a.yml" time="0.500000">
      <failure message="one" type="AssertionFailed">one
two \x1b[0m</failure>
    </testcase>
    <testcase name="e" classname="tool/a" file="tools/a.yml" time="0.500000">
      <error message="boom" type="CallFailed">boom</error>
      <system-out>a note</system-out>
    </testcase>
  </testsuite>
  <testsuite name="tool/none" tests="1" failures="0" errors="0" skipped="1" time="0.000000">
    <properties>
      <property name="path" value="tools/none.yml"/>
    </properties>
    <testcase name="tool/none" classname="tool/none" file="tools/none.yml" time="0.000000">
      <skipped message="no tests are declared"/>
    </testcase>
  </testsuite>
  <testsuite name="tool/broken" tests="1" failures="0" errors="1" skipped="0" time="0.000000">
    <properties>
      <property name="path" value="tools/broken.yml"/>
    </properties>
    <testcase name="tool/broken" classname="tool/broken" file="tools/broken.yml" time="0.000000">
      <error message="no column" type="CompileError"/>
    </testcase>
  </testsuite>
</testsuites>
"#
        );
    }
}
