//! The rules of the house, held against its sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The rooms, and for each the rooms that it may use.
const ROOMS: [(&str, &[&str]); 8] = [
    ("telemetry", &[]),
    ("math", &[]),
    ("workers", &[]),
    ("cache", &["telemetry"]),
    ("evaluator", &["telemetry", "math", "workers", "cache"]),
    ("graphql", &["telemetry", "math", "evaluator"]),
    ("http", &["telemetry", "workers", "evaluator", "graphql"]),
    ("cli", &["telemetry", "math", "cache", "http"]),
];

/// The room that is a crate of its own.
const CRATE: &str = "math";

/// Words that a room does not know, so that it can be read and changed by itself.
const ABSENCES: [(&str, &[&str]); 4] = [
    ("math", &["tokio", "serde", "redis::", "rusqlite", "tracing", "std::env", "axum", "async "]),
    ("cache", &["fibonacci", "Decimal", "async_graphql", "axum", "std::env"]),
    ("graphql", &["axum", "redis::", "rusqlite", "StatusCode", "std::env"]),
    ("http", &["redis::", "rusqlite", "std::env"]),
];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "common", "helpers", "misc"];

/// The tour of the sources.
const TOUR: &str = "docs/architecture.md";

/// The keywords that declare a name.
const DECLARATIONS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of sources below a folder, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}

/// The room that a file of `src` belongs to.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The program of a file, without the tests at its end.
fn program(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The rooms that a text names: `crate::x`, or `x` at the start of a line of `use crate::{…}`.
fn used(text: &str) -> Vec<&str> {
    let names = ROOMS.iter().map(|(name, _)| *name);
    let blocks: Vec<&str> = text.split("use crate::{").skip(1).map(|block| block.split("};").next().unwrap()).collect();
    let in_block = |name: &str| {
        blocks.iter().any(|block| {
            let mut depth = 0;
            block.split_inclusive(['{', '}', ',']).any(|piece| {
                let found = depth == 0 && piece.trim().split(['{', '}', ',', ':']).next() == Some(name);
                depth += piece.matches('{').count();
                depth -= piece.matches('}').count();
                found
            })
        })
    };
    names.filter(|name| text.contains(&format!("crate::{name}")) || in_block(name)).collect()
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    for (path, text) in sources(&root().join("src")) {
        let here = room(&path);
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == here) else {
            assert!(["main", "lib"].contains(&&*here), "{here} is no room: give it its place in the house");
            continue;
        };
        for other in used(&text) {
            assert!(other == here || allowed.contains(&other), "{} uses {other}", path.display());
        }
    }
}

#[test]
fn the_search_for_uses_finds_them() {
    let text = "use crate::{\n    cache::{Cache, math},\n    telemetry,\n};\nfn f() { crate::http::serve() }";
    assert_eq!(used(text), ["telemetry", "cache", "http"]);
    assert_eq!(used("use crate::workers::Workers;"), ["workers"]);
}

#[test]
fn rooms_know_nothing_of_what_is_not_theirs() {
    for (path, text) in sources(&root().join("src")) {
        let here = room(&path);
        let text = program(&text);
        for (_, absent) in ABSENCES.iter().filter(|(name, _)| *name == here) {
            for word in *absent {
                // A file may be named after the library that it wraps.
                let own = path.file_stem().is_some_and(|stem| word.starts_with(stem.to_str().unwrap()));
                let wrapped = here == "cache" && ["redis::", "rusqlite"].contains(word);
                assert!(own || wrapped || !text.contains(word), "{} knows {word}", path.display());
            }
        }
        if here != "cli" && here != "main" {
            assert!(!text.contains("env::var"), "{} reads the environment", path.display());
        }
        if here != "main" {
            assert!(!text.contains("process::exit"), "{} exits", path.display());
        }
    }
}

/// A file as the search for circles reads it.
struct Source {
    /// The paths within the crate that it brings in by `use`, by their names here.
    uses: BTreeMap<String, String>,
    /// Its code, and the names that it brings in for itself, not only to hand them on.
    code: String,
}

impl Source {
    fn of(text: &str) -> Self {
        let is_code =
            |line: &&str| !["//", "mod ", "pub mod "].iter().any(|start| line.trim_start().starts_with(start));
        let lines = program(text).lines().filter(is_code).collect::<Vec<_>>().join("\n");
        let (mut uses, mut code) = (BTreeMap::new(), String::new());
        for piece in lines.split_inclusive(';') {
            let (before, tree) = piece.rsplit_once("use ").unwrap_or((piece, ""));
            let visibility = before.rsplit('\n').next().unwrap().trim();
            if tree.is_empty() || !(visibility.is_empty() || visibility.starts_with("pub")) {
                code.push_str(piece);
                continue;
            }
            for path in leaves(tree.trim_end_matches(';')) {
                let name = path.rsplit("::").next().unwrap();
                let (path, name) = path.split_once(" as ").unwrap_or((&path, name));
                let first = path.split("::").next().unwrap();
                if ["crate", "self", "super"].contains(&first) || text.contains(&format!("mod {first};")) {
                    code.extend([" ", if visibility.is_empty() { name } else { "" }, " "]);
                    uses.insert(name.to_owned(), path.to_owned());
                }
            }
        }
        Self { uses, code }
    }
}

/// The paths in a tree of `use`: in `a::{self, b::C}` they are `a` and `a::b::C`.
fn leaves(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else { return vec![tree.trim_end_matches("::self").to_owned()] };
    let mut depth = 0;
    let branches = rest[..rest.rfind('}').unwrap()].split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let branches = branches.map(str::trim).filter(|branch| !branch.is_empty());
    branches.flat_map(|branch| leaves(&format!("{head}{branch}"))).collect()
}

/// The file that defines what a path in the file `here` names, and the name.
fn home(files: &BTreeMap<&str, Source>, here: &str, path: &str) -> Option<(String, String)> {
    let mut parts: Vec<&str> = here.split("::").collect();
    for part in path.split("::") {
        match part {
            "crate" => parts.truncate(usize::from(parts[0] == CRATE)),
            "super" => drop(parts.pop()),
            "self" => {}
            _ => parts.push(part),
        }
    }
    let at = (1..parts.len()).rev().find(|&at| files.contains_key(&*parts[..at].join("::")))?;
    let (file, name) = (parts[..at].join("::"), parts[at]);
    match files[&*file].uses.get(name) {
        Some(path) => home(files, &file, &[&[&**path], &parts[at + 1..]].concat().join("::")),
        None => (!files.contains_key(&*parts.join("::"))).then(|| (file, name.to_owned())),
    }
}

/// The files that each file uses something of.
type Imports<'a> = BTreeMap<&'a str, BTreeSet<String>>;

/// The imports of these texts. A type may have an `impl` in a file below its own, which is a part of it.
fn imports(texts: &BTreeMap<String, String>) -> Imports<'_> {
    let files: BTreeMap<&str, Source> = texts.iter().map(|(file, text)| (&**file, Source::of(text))).collect();
    let imports_of = |here: &str| {
        let code = &files[here].code;
        let paths = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let homes = paths.filter_map(|path| home(&files, here, path.trim_matches(':')));
        let above = here.rsplit_once("::").map_or("", |(above, _)| above);
        let is_part = |file: &str, name: &str| file == above && code.contains(&format!("impl {name} {{"));
        homes.filter(|(file, name)| file != here && !is_part(file, name)).map(|(file, _)| file).collect()
    };
    files.keys().map(|here| (*here, imports_of(here))).collect()
}

/// Files of which each uses the next one, and the last one the first, if there are such.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(imports: &Imports, way: &mut Vec<String>, seen: &mut BTreeSet<String>, file: &str) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|before| before == file) {
            return Some(way[start..].to_vec());
        }
        if !seen.insert(file.to_owned()) {
            return None;
        }
        way.push(file.to_owned());
        let found = imports[file].iter().find_map(|next| visit(imports, way, seen, next));
        way.pop();
        found
    }
    let (mut way, mut seen) = (Vec::new(), BTreeSet::new());
    imports.keys().find_map(|file| visit(imports, &mut way, &mut seen, file))
}

#[test]
fn no_file_imports_in_a_circle() {
    let src = root().join("src");
    let named = sources(&src).into_iter().map(|(path, text)| {
        let path = path.strip_prefix(&src).unwrap().with_extension("");
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod").collect();
        (parts.join("::"), text)
    });
    let files = named.collect();
    let imports = imports(&files);
    let edges: usize = imports.values().map(BTreeSet::len).sum();
    assert!(edges > 300, "only {edges} imports are found");
    assert_eq!(circle(&imports), None);
}

#[test]
fn the_search_for_circles_finds_them() {
    let found = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        circle(&imports(&files)).unwrap_or_default()
    };
    let handing_on = ("room", "mod a;\nmod b;\npub use self::{a::A, b::B};\npub const LIMIT: u8 = 1;");
    let b = ("room::b", "fn f() { crate::room::A::new() }");
    assert_eq!(
        found(&[handing_on, ("room::a", "use super::{\n    LIMIT,\n    b::{self, B as C},\n};"), b]),
        ["room::a", "room::b"]
    );
    assert_eq!(
        found(&[handing_on, ("room::a", "use super::LIMIT;\n#[cfg(test)]\nmod tests {\n    use super::super::B;"), b]),
        [""; 0]
    );
    let whole = ("room", "mod part;\nuse self::part::Part;\npub struct Whole(Part);");
    assert_eq!(found(&[whole, ("room::part", "use super::Whole;\nstruct Part;\nimpl Whole {\n}")]), [""; 0]);
    assert_eq!(found(&[whole, ("room::part", "use super::Whole;\nstruct Part(Whole);")]), ["room", "room::part"]);
}

/// The picture of the tour has the arrows of [`ROOMS`], but for those to telemetry, which nearly every room uses.
#[test]
fn the_picture_of_the_tour_is_the_rule() {
    let tour = fs::read_to_string(root().join(TOUR)).unwrap();
    let arrows: Vec<&str> = tour.lines().map(str::trim).filter(|line| line.contains(" --> ")).collect();
    let (main, rooms) = arrows.split_first().unwrap();
    assert!(main.starts_with("main --> "), "{main}");
    let arrow = |(name, allowed): &(&str, &[&str])| {
        let drawn: Vec<&str> = allowed.iter().copied().filter(|other| *other != "telemetry").collect();
        (!drawn.is_empty()).then(|| format!("{name} --> {}", drawn.join(" & ")))
    };
    assert_eq!(rooms, ROOMS.iter().rev().filter_map(arrow).collect::<Vec<_>>());
}

/// Whether a text declares a name, such as `Cache` or `Cache::find`.
fn declares(text: &str, name: &str) -> bool {
    let is_word =
        |at: usize, word: &str| !text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let has = |word: &str| text.match_indices(word).any(|(at, _)| is_word(at, word));
    let (owner, own) = name.rsplit_once("::").unwrap_or(("", name));
    has(owner) && DECLARATIONS.iter().any(|kind| has(&format!("{kind} {own}")))
}

/// Whether a piece of code is the path of a file or a folder.
fn is_path(code: &str) -> bool {
    code.contains('/') && !code.contains(' ')
}

/// The names that a page gives as `name` in `path`, or several as `one`, `two` and `three` in `path`, each with its path. The
/// pieces of the page are text and code by turns.
fn named<'a>(pieces: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut names = Vec::new();
    for at in (3..pieces.len()).step_by(2).filter(|&at| is_path(pieces[at]) && pieces[at - 1] == " in ") {
        let is_one = |k: &usize| k + 2 == at || [", ", " and "].contains(&pieces[k + 1]);
        let of_path = (1..at - 1).rev().step_by(2).take_while(|k| !is_path(pieces[*k]) && is_one(k));
        names.extend(of_path.map(|k| (pieces[k], pieces[at])));
    }
    names
}

#[test]
fn the_tour_names_what_there_is() {
    let tour = fs::read_to_string(root().join(TOUR)).unwrap();
    let prose: Vec<&str> = tour.split("```").step_by(2).flat_map(str::split_whitespace).collect();
    let prose = prose.join(" ");
    let pieces: Vec<&str> = prose.split('`').collect();
    let codes = || pieces.iter().skip(1).step_by(2);
    for path in codes().filter(|code| is_path(code)) {
        assert!(root().join(path).exists(), "there is no {path}");
    }
    let names = named(&pieces);
    assert!(names.len() > 100, "only {} names are found", names.len());
    for (name, path) in names {
        let text = fs::read_to_string(root().join(path)).unwrap();
        assert!(declares(&text, name), "{path} does not declare {name}");
    }
    // A name that comes again may go without its path.
    let sources = sources(&root().join("src"));
    for name in codes().filter(|code| code.contains("::") && !code.contains(' ')) {
        assert!(sources.iter().any(|(_, text)| declares(text, name)), "nothing declares {name}");
    }
}

#[test]
fn nothing_is_left_for_later_or_hidden() {
    for folder in ["src", "tests"] {
        for (path, text) in sources(&root().join(folder)) {
            if path.ends_with("tidy.rs") {
                continue;
            }
            for word in ["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "dbg!", "#![deny(warnings)]"] {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
            assert!(!program(&text).contains("#[allow("), "{}: use #[expect(…, reason = …)]", path.display());
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert!(!EMPTY_NAMES.contains(&stem), "{} says nothing", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_the_vector_kernels_and_one_system_call() {
    for (path, text) in sources(&root().join("src")) {
        let may_be = ["ntt/avx2.rs", "ntt/avx512.rs", "pages.rs"];
        let may_be = may_be.iter().any(|name| path.ends_with(Path::new("math").join(name)));
        assert!(may_be || !program(&text).contains("unsafe {"), "{} is not safe", path.display());
    }
}

#[test]
fn functions_stay_short() {
    const LINES: usize = 70;
    for (path, text) in sources(&root().join("src")) {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let head =
                head.strip_prefix("pub(").map_or(head, |rest| rest.split_once(") ").map_or(rest, |(_, rest)| rest));
            let head = head.trim_start_matches("pub ");
            let head = head.trim_start_matches("const ").trim_start_matches("async ").trim_start_matches("unsafe ");
            // A declaration in a trait has no lines.
            if !head.starts_with("fn ") || line.ends_with(';') {
                continue;
            }
            let closing = format!("{}}}", " ".repeat(indent));
            if line.ends_with("; }") || line.ends_with('}') || line.ends_with(';') {
                continue;
            }
            let end = lines[start..].iter().position(|line| *line == closing);
            let end = end.unwrap_or_else(|| panic!("{}:{}: no end", path.display(), start + 1));
            assert!(end <= LINES, "{}:{}: a function of {end} lines", path.display(), start + 1);
        }
    }
}
