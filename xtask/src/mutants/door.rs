//! The changes of fal's door, `pkg/src/fal`, and its tests, which run on each in a copy.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::Options;
use crate::{npm, shell};

const SOURCES: &str = "pkg/src/fal";

/// One change: the file, the line, and what stands there in place of what was there.
struct Mutant {
    file: String,
    line: usize,
    was: String,
    is: String,
    text: String,
}

pub fn run(options: &Options) -> Result<()> {
    npm::install("pkg")?;
    let scratch = Scratch::make()?;
    ensure!(scratch.killed_by()?.is_none(), "the tests fail without any change");
    let all = mutants(&options.file)?;
    ensure!(!all.is_empty(), "no source is named like {}", options.file);
    let step = all.len().div_ceil(options.most.max(1)).max(1);
    // Not every n-th from the first: of each stretch another one.
    let tried: Vec<&Mutant> =
        all.chunks(step).enumerate().map(|(index, chunk)| &chunk[index * 7 % chunk.len()]).collect();
    shell::say(&format!("{} of {} changes", tried.len(), all.len()));
    let mut survivors = Vec::new();
    for (index, mutant) in tried.iter().enumerate() {
        let Mutant { file, line, was, is, text } = mutant;
        scratch.write(file, text)?;
        let killer = scratch.killed_by()?;
        scratch.write(file, &fs::read_to_string(shell::root().join(SOURCES).join(file))?)?;
        let verdict = killer.as_deref().unwrap_or("SURVIVED");
        shell::say(&format!("{}/{} {file}:{line}: {was} → {is}: {verdict}", index + 1, tried.len()));
        if killer.is_none() {
            survivors.push(format!("{file}:{line}: {was} → {is}"));
        }
    }
    let killed = tried.len() - survivors.len();
    for survivor in &survivors {
        println!("survived: {survivor}");
    }
    println!("{killed} of {} killed, {:.1} %", tried.len(), 100.0 * killed as f64 / tried.len() as f64);
    Ok(())
}

/// What to look for in code, and what to put in its place: the operators of a change.
const CHANGES: [(&str, &str); 22] = [
    (" === ", " !== "),
    (" !== ", " === "),
    (" && ", " || "),
    (" || ", " && "),
    (" ?? ", " && "),
    (" ??= ", " = "),
    (" < ", " >= "),
    (" > ", " <= "),
    (" <= ", " < "),
    (" >= ", " > "),
    ("!", ""),
    (" true", " false"),
    (" false", " true"),
    (" + ", " - "),
    (" * ", " / "),
    ("+= 1", "+= 0"),
    (".every(", ".some("),
    (".some(", ".every("),
    ("await ", ""),
    ("return undefined", "return null as never"),
    ("...", "...undefined && "),
    ("?.", "."),
];

/// Every change of every source: operators, statements left out, and conditions that are always or never so.
fn mutants(only: &str) -> Result<Vec<Mutant>> {
    let folder = shell::root().join(SOURCES);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.contains(only)) {
        let source = fs::read_to_string(folder.join(file))?;
        let lines: Vec<&str> = source.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_code(line)) {
            for (was, is, changed) in changes(line) {
                let mut text = lines.clone();
                text[index] = &changed;
                let text = text.join("\n") + "\n";
                all.push(Mutant { file: file.clone(), line: index + 1, was, is, text });
            }
        }
    }
    Ok(all)
}

/// Whether a line does something: comments, imports and types do not, nor does what only opens or closes.
fn is_code(line: &str) -> bool {
    let line = line.trim();
    let silent =
        ["//", "/*", "*", "import ", "export type", "export interface", "readonly #", "}", ")", "]", "interface "];
    let declares = line.starts_with("readonly ") && !line.contains('=') || line.ends_with("?: boolean;");
    !line.is_empty() && !declares && !silent.iter().any(|start| line.starts_with(start))
}

/// The changes of a line: what was, what is, and the line with it.
fn changes(line: &str) -> Vec<(String, String, String)> {
    let code = line.split(" // ").next().unwrap_or(line);
    let mut found = Vec::new();
    let mut change = |was: &str, is: &str, at: usize| {
        let mut changed = line.to_owned();
        changed.replace_range(at..at + was.len(), is);
        found.push((was.trim().to_owned(), is.trim().to_owned(), changed));
    };
    for (was, is) in CHANGES {
        for (at, _) in code.match_indices(was).filter(|(at, _)| !in_text(code, *at) && stands(code, was, *at)) {
            change(was, is, at);
        }
    }
    for (at, number) in numbers(code) {
        change(number, if number == "1" { "2" } else { "1" }, at);
    }
    if let Some(choice) = choice(code) {
        change(choice.1, "true", choice.0);
        change(choice.1, "false", choice.0);
    }
    let trimmed = code.trim();
    let at = code.len() - code.trim_start().len();
    if let Some(rest) = trimmed.strip_prefix("if (") {
        let condition = condition(rest);
        change(condition, "true", at + 4);
        change(condition, "false", at + 4);
    } else if trimmed.ends_with(',') && is_entry(trimmed) {
        change(trimmed, "", at);
    } else if trimmed.ends_with(';') && is_statement(trimmed) {
        change(trimmed, ";", at);
    }
    found
}

/// The condition of a line's first `?`, and where it stands.
fn choice(code: &str) -> Option<(usize, &str)> {
    let end = code.find(" ? ").filter(|&end| !in_text(code, end))?;
    let mut depth = 0;
    let mut start = end;
    for (at, letter) in code[..end].char_indices().rev() {
        match letter {
            ')' | ']' => depth += 1,
            '(' | '[' | '{' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            ',' | ':' if depth == 0 => break,
            _ if depth == 0 && ["= ", "=> ", "return "].iter().any(|word| code[..at].ends_with(word)) => {
                return Some((at, &code[at..end]));
            }
            _ => {}
        }
        start = at;
    }
    let condition = code[start..end].trim_start();
    (!condition.is_empty()).then_some((end - condition.len(), condition))
}

/// The numbers of a line that are values: bounds, times, codes.
fn numbers(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, letter) in code.char_indices().chain([(code.len(), ' ')]) {
        let digit = letter.is_ascii_digit() || (letter == '_' && start.is_some());
        match start {
            None if digit && !in_text(code, at) => start = Some(at),
            Some(from) if !digit => {
                let before = code[..from].chars().next_back().unwrap_or(' ');
                if matches!(before, ' ' | '(' | '[' | '-') && !letter.is_alphabetic() {
                    found.push((from, &code[from..at]));
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Whether an operator at this place is one: `!` of a condition, not of `!==` or of an assertion; `...` of an object.
fn stands(code: &str, was: &str, at: usize) -> bool {
    let after = &code[at + was.len()..];
    let before = code[..at].chars().next_back().unwrap_or(' ');
    match was {
        "!" => !after.starts_with('=') && matches!(before, ' ' | '(' | '!'),
        "..." => before == ' ' && after.starts_with('('),
        "?." => !after.starts_with(|next: char| next.is_ascii_digit()),
        " < " | " > " => !code.contains("=> ") || was == " < ",
        _ => true,
    }
}

/// Whether a place is inside a string.
fn in_text(code: &str, at: usize) -> bool {
    let quotes = |quote: char| code[..at].chars().filter(|&letter| letter == quote).count() % 2 == 1;
    quotes('"') || quotes('`')
}

/// The condition of an `if`, to the bracket that closes it; all there is, if that stands on another line.
fn condition(rest: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in rest.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return &rest[..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    rest
}

/// Whether a line is a whole statement that can be left out: a call or an assignment, and no declaration.
fn is_statement(code: &str) -> bool {
    let declares = [
        "const ",
        "let ",
        "return",
        "throw",
        "export ",
        "type ",
        "private ",
        "case ",
        "default",
        "readonly ",
        "for ",
        "while ",
    ];
    let balanced = |open: char, close: char| code.matches(open).count() == code.matches(close).count();
    let calls = code.contains('(') || code.contains(" = ") || code.contains(" += ") || code.contains(" -= ");
    calls
        && !declares.iter().any(|word| code.starts_with(word))
        && balanced('(', ')')
        && balanced('{', '}')
        && !code.contains("): ")
        && !is_member(code)
}

/// Whether a line is a member of a type: what begins with a name and a colon, and ends like a statement, is nothing
/// else.
fn is_member(code: &str) -> bool {
    code.split_once(": ").is_some_and(|(name, _)| name.trim_end_matches('?').chars().all(char::is_alphanumeric))
}

/// Whether a line is one whole entry of a list or of an object.
fn is_entry(code: &str) -> bool {
    let text = code.trim_end_matches(',');
    let quoted = text.len() > 2 && text.starts_with('"') && text.ends_with('"');
    quoted
        || text.starts_with("...")
        || text.split_once(": ").is_some_and(|(name, _)| name.chars().all(char::is_alphanumeric))
}

/// A copy of the sources and their tests, in which the changes are made.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn make() -> Result<Self> {
        let folder = shell::cache("mutants")?;
        for part in ["pkg/src", "tests/fal"] {
            let to = folder.join(part);
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            shell::copy_folder(&shell::root().join(part), &to)?;
        }
        for file in ["fal-client.mjs", "package.json"] {
            fs::copy(shell::root().join("pkg").join(file), folder.join("pkg").join(file))?;
        }
        let modules = folder.join("pkg/node_modules");
        if !modules.exists() {
            shell::copy_folder(&shell::root().join("pkg/node_modules"), &modules)?;
        }
        Ok(Self { folder })
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.join(SOURCES).join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The first test that fails; nothing, if all pass.
    fn killed_by(&self) -> Result<Option<String>> {
        let mut node = shell::command("node");
        node.args(["run.mjs", "--bail"]).current_dir(self.folder.join("tests/fal"));
        let output = node.output().context("node does not start")?;
        if output.status.success() {
            return Ok(None);
        }
        let told = String::from_utf8_lossy(&output.stdout);
        let failed = told.lines().find_map(|line| line.strip_prefix("not ok "));
        Ok(Some(failed.unwrap_or("it does not run, or to no end").to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        changes(line).into_iter().map(|(_, _, changed)| changed).collect()
    }

    #[test]
    fn operators_are_changed_where_they_stand() {
        assert_eq!(of("  const a = b === c;"), ["  const a = b !== c;"]);
        assert_eq!(of("  return a && !b;"), ["  return a || !b;", "  return a && b;"]);
        assert_eq!(of(r#"  return "a && b";"#), Vec::<String>::new());
        assert_eq!(of("  const x = y!.z;"), Vec::<String>::new());
    }

    #[test]
    fn conditions_are_always_and_never_so() {
        assert_eq!(of("  if (f(a)) return b;"), ["  if (true) return b;", "  if (false) return b;"]);
    }

    #[test]
    fn statements_are_left_out() {
        assert_eq!(of("  this.files.use(url);"), ["  ;"]);
        assert_eq!(of("  const a = f();"), Vec::<String>::new());
    }

    #[test]
    fn bounds_entries_and_choices_are_changed() {
        assert_eq!(of("const HOLD_MS = 10_000;"), ["const HOLD_MS = 1;"]);
        assert_eq!(of("  \"out_of_memory\","), ["  "]);
        assert_eq!(of("  const x = f(a) ? b : c;"), ["  const x = true ? b : c;", "  const x = false ? b : c;"]);
        assert_eq!(of("  const x = `${a}1`;"), Vec::<String>::new());
    }

    #[test]
    fn comments_and_types_do_nothing() {
        assert_eq!(of("  loc: (string | number)[];"), Vec::<String>::new());
        for line in ["  // a === b", " * a && b", "  readonly direct: boolean;", "import { a } from \"b\";", "  }"] {
            assert!(!is_code(line), "{line}");
        }
    }
}
