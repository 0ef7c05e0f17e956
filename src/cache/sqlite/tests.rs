use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    Retention::{Cheap, Dear, Pinned},
    *,
};

/// A folder of its own, and where the file will be.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.sqlite");
    (folder, path)
}

/// The file at the default path.
fn opened(path: &Path) -> Sqlite {
    Sqlite::open(path, true, vec!["top".into()]).unwrap()
}

fn opened_by_name(path: &Path) -> Result<Sqlite, FileError> {
    Sqlite::open(path, false, vec!["top".into()])
}

fn record(name: &str, length: usize, retention: Retention) -> Arc<Record> {
    Arc::new(Record { name: name.into(), bytes: vec![7; length], retention })
}

async fn put(file: &Sqlite, name: &str) {
    file.write(vec![record(name, 1_000, Dear)]).await.unwrap();
}

/// Whether the entry of each name is there.
async fn has<const N: usize>(file: &Sqlite, names: [&str; N]) -> [bool; N] {
    let values = file.read(vec![0], names.map(String::from).to_vec()).await.unwrap().values;
    values.iter().map(Option::is_some).collect::<Vec<_>>().try_into().unwrap()
}

fn aside(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("sqlite.aside-{number}"))
}

/// Brings all that was written from the log into the file.
fn fold(path: &Path) {
    let held = Connection::open(path)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        .unwrap();
    assert!(!held);
}

fn halve(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// Ends a store, and waits until its threads have let go of the file: only then can it leave WAL mode.
fn ended(file: Sqlite, path: &Path) {
    drop(file);
    let until = Instant::now() + Duration::from_secs(10);
    let another = Connection::open(path).unwrap();
    while another.pragma_update(None, "journal_mode", "DELETE").is_err() {
        assert!(Instant::now() < until, "the file is still open");
        thread::yield_now();
    }
}

/// Waits until the file is read: after a failure that is tried again only now and then.
async fn answers(file: &Sqlite) {
    let until = Instant::now() + Duration::from_secs(10);
    while file.read(vec![0], vec![]).await.is_err() {
        assert!(Instant::now() < until, "the file is never opened");
        thread::yield_now();
    }
}

async fn works_on_a_new_file(file: &Sqlite) {
    put(file, "new").await;
    assert_eq!(has(file, ["new"]).await, [true]);
}

#[tokio::test]
async fn the_oldest_make_room_and_the_pinned_stay() {
    let (folder, _) = place();
    let path = folder.path().join("new/cache.sqlite");
    let mut file = opened(&path);
    file.max_pages = 100;
    file.write(vec![record("pinned", 40_000, Pinned)]).await.unwrap();
    for number in 0..20 {
        file.write(vec![record(&number.to_string(), 40_000, Dear)]).await.unwrap();
    }
    assert_eq!(has(&file, ["pinned", "0", "19"]).await, [true, false, true]);
    let size = fs::metadata(path).unwrap().len();
    assert!(size <= 100 * u64::from(PAGE_BYTES), "{size} bytes");
}

#[tokio::test]
async fn what_is_used_stays_however_many_newer_ones_come() {
    const PAGES: u32 = 100;
    let (_folder, path) = place();
    let mut file = opened(&path);
    file.max_pages = PAGES;
    file.write(vec![record("pinned", 40_000, Pinned)]).await.unwrap();
    for name in ["used", "once", "never"] {
        file.write(vec![record(name, 20_000, Dear)]).await.unwrap();
    }
    file.note_used(["once".into()]);
    // 20 of them are more than all pages, so that 80 are four turns of the ring and more.
    for number in 0..80 {
        file.note_used(["used".into(), "pinned".into(), "nowhere".into()]);
        file.write(vec![record(&number.to_string(), 20_000, Dear)]).await.unwrap();
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= u64::from(PAGES * PAGE_BYTES), "{size} bytes");
        if number == 20 {
            assert_eq!(has(&file, ["used", "once", "never", "0"]).await, [true, true, false, false]);
        }
    }
    assert_eq!(has(&file, ["pinned", "used", "once", "79"]).await, [true, true, false, true]);
    for number in 80..120 {
        file.write(vec![record(&number.to_string(), 20_000, Dear)]).await.unwrap();
    }
    assert_eq!(has(&file, ["pinned", "used", "119"]).await, [true, false, true], "what is used no more goes");
    let bits = Connection::open(&path).unwrap().query_row("SELECT count(*) FROM used", [], |row| row.get(0));
    assert_eq!(bits, Ok(0));
}

#[tokio::test]
async fn a_use_that_no_write_followed_is_stored_at_the_end() {
    let (_folder, path) = place();
    let mut file = opened(&path);
    for name in ["unused", "used"] {
        file.write(vec![record(name, 20_000, Dear)]).await.unwrap();
    }
    file.note_used(["used".into()]);
    file.close().await.unwrap();
    let pages = fs::metadata(&path).unwrap().len() / u64::from(PAGE_BYTES);
    file = opened(&path);
    // One of them has to go.
    file.max_pages = u32::try_from(pages).unwrap() + 5;
    file.write(vec![record("new", 20_000, Dear)]).await.unwrap();
    assert_eq!(has(&file, ["unused", "used", "new"]).await, [false, true, true]);
}

#[test]
fn no_number_of_uses_takes_more_than_its_room() {
    let uses = Uses::default();
    uses.note((0..2 * MAX_USES).map(|number| number.to_string()));
    assert_eq!(uses.0.lock().unwrap().len(), MAX_USES);
}

#[tokio::test]
async fn no_number_of_cheap_entries_evicts_another() {
    let (_folder, path) = place();
    let mut file = opened(&path);
    file.max_pages = 160;
    file.write(vec![record("pinned", 40_000, Pinned)]).await.unwrap();
    let values: Vec<String> = (0..40).map(|number| format!("value {number}")).collect();
    for value in &values {
        file.write(vec![record(value, 20_000, Dear)]).await.unwrap();
    }
    let before = file.read(vec![0], values.clone()).await.unwrap().values;
    let kept = before.iter().filter(|value| value.is_some()).count();
    assert!((15..40).contains(&kept), "the file is full: of 40 it has {kept}");
    for flood in 0..100 {
        let name = |number: u32| format!("cheap {}", 100 * flood + number);
        file.write((0..100).map(|number| record(&name(number), 18, Cheap)).collect()).await.unwrap();
    }
    assert_eq!(file.read(vec![0], values).await.unwrap().values, before);
    assert_eq!(has(&file, ["pinned", "cheap 0", "cheap 9700", "cheap 9999"]).await, [true, false, true, true]);
    let size = fs::metadata(path).unwrap().len();
    assert!(size <= 160 * u64::from(PAGE_BYTES), "{size} bytes");
}

#[tokio::test]
async fn values_take_nothing_from_the_share_of_cheap_entries() {
    let (_folder, path) = place();
    let mut file = opened(&path);
    file.max_pages = 160;
    file.write((0..300).map(|number| record(&format!("cheap {number}"), 18, Cheap)).collect()).await.unwrap();
    for number in 0..40 {
        file.write(vec![record(&number.to_string(), 20_000, Dear)]).await.unwrap();
    }
    assert_eq!(has(&file, ["cheap 0", "cheap 299", "0", "39"]).await, [true, true, false, true]);
}

#[tokio::test]
async fn entries_of_both_kinds_are_named_in_order_and_removed() {
    let (_folder, path) = place();
    let file = opened(&path);
    let records = [("a", Cheap), ("b", Dear), ("c", Cheap), ("d", Pinned), ("other", Cheap)];
    file.write(records.map(|(name, retention)| record(&format!("p:{name}"), 10, retention)).to_vec()).await.unwrap();
    let names = async |last: &str| file.names("p:".into(), last.into()).await.unwrap();
    assert_eq!(names("").await, ["p:a", "p:b", "p:c", "p:d", "p:other"]);
    file.remove(["p:b", "p:c"].map(String::from).to_vec()).await.unwrap();
    assert_eq!(names("p:a").await, ["p:d", "p:other"]);
    assert_eq!(file.names("q:".into(), String::new()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_above_the_bound_shrinks() {
    let (_folder, path) = place();
    let mut file = opened(&path);
    for number in 0..20 {
        file.write(vec![record(&number.to_string(), 40_000, Dear)]).await.unwrap();
    }
    file.max_pages = 50;
    put(&file, "small").await;
    assert_eq!(has(&file, ["0", "19", "small"]).await, [false, true, true]);
    fold(&path);
    let size = fs::metadata(path).unwrap().len();
    assert!(size <= 50 * u64::from(PAGE_BYTES), "{size} bytes");
}

#[tokio::test]
async fn a_write_beyond_the_bound_fails_and_changes_nothing() {
    let (_folder, path) = place();
    let mut file = opened(&path);
    file.max_pages = 50;
    put(&file, "before").await;
    let full = file.write(vec![record("large", 50 * 4_096, Dear)]).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    assert_eq!(has(&file, ["before", "large"]).await, [true, false]);
    works_on_a_new_file(&file).await;
}

#[tokio::test]
async fn a_file_that_was_closed_is_not_opened_by_work_that_comes_late() {
    let (folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    file.close().await.unwrap();
    assert!(file.read(vec![0], vec![]).await.is_err() && file.touch().await.is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is beside it again");
    assert_eq!(has(&opened(&path), ["before"]).await, [true]);
}

#[tokio::test]
async fn the_mark_never_falls() {
    let (_folder, path) = place();
    let file = opened(&path);
    assert_eq!(file.read(vec![0], vec![]).await.unwrap().marks[0], Some(MarkSnapshot::default()));
    let generation = file.write_below_mark(vec![], 0).await.unwrap().unwrap();
    for (raised, found) in [(7, 7), (5, 7), (9, 9)] {
        assert!(file.raise(Height { ladder: 0, mark: raised }, generation).await.unwrap());
        let mark = MarkSnapshot { generation: Some(generation), mark: Some(found), ..MarkSnapshot::default() };
        assert_eq!(file.read(vec![0], vec![]).await.unwrap().marks[0], Some(mark));
    }
    assert_eq!(file.write_below_mark(vec![], 0).await.unwrap(), Some(generation), "the first one stays");
}

#[tokio::test]
async fn a_mark_of_another_generation_is_not_raised() {
    let (_folder, path) = place();
    let file = opened(&path);
    let lost = file.write_below_mark(vec![], 0).await.unwrap().unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!file.raise(Height { ladder: 0, mark: 7 }, lost).await.unwrap(), "the new file has none");
    let generation = file.write_below_mark(vec![], 0).await.unwrap();
    assert!(!file.raise(Height { ladder: 0, mark: 7 }, lost).await.unwrap(), "it has another one");
    assert_eq!(
        file.read(vec![0], vec![]).await.unwrap().marks[0],
        Some(MarkSnapshot { generation, ..MarkSnapshot::default() })
    );
}

#[tokio::test]
async fn a_generation_that_is_no_number_is_replaced() {
    let (_folder, path) = place();
    let file = opened(&path);
    file.write_below_mark(vec![], 0).await.unwrap();
    Connection::open(&path).unwrap().execute("UPDATE mark SET n = 'x'", []).unwrap();
    assert_eq!(file.read(vec![0], vec![]).await.unwrap().marks[0], Some(MarkSnapshot::default()));
    assert!(file.write_below_mark(vec![], 0).await.unwrap().is_some());
}

#[tokio::test]
async fn garbage_is_moved_aside_and_nothing_is_overwritten() {
    let (_folder, path) = place();
    for number in 1..=2 {
        let garbage = format!("garbage {number}").repeat(1_000);
        fs::write(&path, &garbage).unwrap();
        let file = opened(&path);
        assert_eq!(has(&file, ["new"]).await, [false]);
        works_on_a_new_file(&file).await;
        assert_eq!(fs::read_to_string(aside(&path, number)).unwrap(), garbage);
        ended(file, &path);
    }
    assert!(aside(&path, 1).exists());
}

#[tokio::test]
async fn garbage_written_over_an_open_file_is_moved_aside() {
    let (_folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    fold(&path);
    fs::write(&path, "garbage".repeat(10_000)).unwrap();
    works_on_a_new_file(&opened(&path)).await;
    assert_eq!(has(&file, ["before", "new"]).await, [false, true]);
    assert!(aside(&path, 1).exists());
}

#[tokio::test]
async fn a_truncated_file_is_moved_aside() {
    let (_folder, path) = place();
    let file = opened(&path);
    file.write((0..200).map(|number| record(&number.to_string(), 1_000, Dear)).collect()).await.unwrap();
    fold(&path);
    ended(file, &path);
    halve(&path);
    let file = opened(&path);
    assert_eq!(has(&file, ["0", "199"]).await, [false, false]);
    works_on_a_new_file(&file).await;
    assert!(aside(&path, 1).exists());
}

#[tokio::test]
async fn a_file_that_is_truncated_while_open_is_moved_aside() {
    let (_folder, path) = place();
    let file = opened(&path);
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    file.write(names.iter().map(|name| record(name, 1_000, Dear)).collect()).await.unwrap();
    fold(&path);
    halve(&path);
    assert!(file.read(vec![0], names).await.unwrap().values.iter().all(Option::is_none));
    works_on_a_new_file(&file).await;
    assert!(aside(&path, 1).exists());
    assert_eq!(has(&opened(&path), ["new"]).await, [true]);
}

#[tokio::test]
async fn a_file_that_is_emptied_while_open_is_made_anew() {
    let (_folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    fold(&path);
    fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    let another = opened(&path);
    works_on_a_new_file(&another).await;
    assert_eq!(has(&file, ["before", "new"]).await, [false, true]);
}

#[tokio::test]
async fn what_belongs_to_another_program_is_refused_whoever_named_it() {
    let [cheap, entry, mark] = [
        "CREATE TABLE cheap (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value BLOB NOT NULL)",
        "CREATE TABLE entry (name TEXT NOT NULL UNIQUE, value BLOB NOT NULL, pinned INTEGER NOT NULL)",
        "CREATE TABLE mark (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
    ];
    let rows = [
        ("other tables", "CREATE TABLE theirs (n)".into()),
        ("tables beside ours", format!("{entry}; {mark}; CREATE TABLE theirs (n)")),
        ("our tables with other columns", "CREATE TABLE entry (name, value); CREATE TABLE mark (n)".into()),
        ("only one of our tables", entry.into()),
        ("two of our tables that no cache had alone", format!("{cheap}; {mark}")),
        ("another's mark", format!("{entry}; {mark}; PRAGMA application_id = 7")),
        ("nothing but another's mark", "PRAGMA application_id = 7".into()),
    ];
    for (what, tables) in rows {
        let (folder, path) = place();
        Connection::open(&path).unwrap().execute_batch(&tables).unwrap();
        let content = fs::read(&path).unwrap();
        for is_default in [true, false] {
            let refusal = Sqlite::open(&path, is_default, vec!["top".into()]).err().expect(what).to_string();
            assert!(refusal.contains("belongs to another program") && refusal.contains("--cache"), "{refusal}");
            assert!(refusal.starts_with(path.to_str().unwrap()), "{refusal}");
        }
        assert_eq!(fs::read(&path).unwrap(), content, "{what}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{what}");
    }
}

#[tokio::test]
async fn garbage_that_was_named_is_refused_and_left() {
    let (folder, path) = place();
    fs::write(&path, "garbage".repeat(1_000)).unwrap();
    let refusal = opened_by_name(&path).err().unwrap().to_string();
    assert!(refusal.contains("is not an SQLite database") && refusal.contains("--cache"), "{refusal}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "garbage".repeat(1_000));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_named_file_that_becomes_garbage_is_left_until_somebody_removes_or_replaces_it() {
    let (folder, path) = place();
    let file = opened_by_name(&path).unwrap();
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    file.write(names.iter().map(|name| record(name, 1_000, Dear)).collect()).await.unwrap();
    fold(&path);
    let sound = fs::read(&path).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    for mend in [
        (|path, _| fs::remove_file(path)) as fn(&Path, &Path) -> io::Result<()>,
        |path, elsewhere| fs::rename(elsewhere, path),
        |path, elsewhere| fs::copy(elsewhere, path).map(drop),
    ] {
        fs::write(&elsewhere, &sound).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        fs::write(&elsewhere, &sound).unwrap();
        answers(&file).await;
        fold(&path);
        halve(&path);
        let damage = fs::read(&path).unwrap();
        for _ in 0..2 {
            let refusal = file.read(vec![0], names.clone()).await.unwrap_err().to_string();
            assert!(refusal.contains("is damaged") && refusal.contains("move it away"), "{refusal}");
        }
        assert_eq!(fs::read(&path).unwrap(), damage);
        mend(&path, &elsewhere).unwrap();
        answers(&file).await;
        works_on_a_new_file(&file).await;
        assert!(!aside(&path, 1).exists());
    }
}

#[tokio::test]
async fn an_older_cache_without_our_mark_is_kept() {
    let (_folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    Connection::open(&path).unwrap().pragma_update(None, "application_id", 0).unwrap();
    ended(file, &path);
    assert_eq!(has(&opened(&path), ["before"]).await, [true]);
    assert!(!aside(&path, 1).exists());
}

#[tokio::test]
async fn an_older_cache_that_lacks_tables_is_kept() {
    for lacking in ["DROP TABLE used", "DROP TABLE cheap; DROP TABLE used"] {
        older_cache_is_kept(lacking).await;
    }
}

async fn older_cache_is_kept(lacking: &str) {
    let (_folder, path) = place();
    let file = opened(&path);
    file.write(vec![record("value", 10, Dear), record("cheap", 10, Dear)]).await.unwrap();
    ended(file, &path);
    Connection::open(&path).unwrap().execute_batch(lacking).unwrap();
    let survey = Sqlite::survey(&path, false, vec!["top".into()]).unwrap();
    assert_eq!(has(&survey, ["value", "cheap"]).await, [true, true]);
    survey.close().await.unwrap();
    let file = opened(&path);
    assert_eq!(has(&file, ["value", "cheap"]).await, [true, true]);
    file.write(vec![record("cheap", 20, Cheap)]).await.unwrap();
    let values = file.read(vec![0], vec!["cheap".into()]).await.unwrap().values;
    assert_eq!(values, [Some(vec![7; 20])], "what was not what it should be is written anew");
    assert_eq!(file.names(String::new(), String::new()).await.unwrap(), ["cheap", "value"]);
    assert!(!aside(&path, 1).exists());
}

#[tokio::test]
async fn an_empty_file_is_used() {
    let (_folder, path) = place();
    fs::write(&path, "").unwrap();
    works_on_a_new_file(&opened(&path)).await;
    assert!(!aside(&path, 1).exists());
}

#[tokio::test]
async fn a_folder_in_the_way_is_told_and_no_longer_once_it_is_gone() {
    let (_folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    for extension in ["sqlite", "sqlite-wal", "sqlite-shm"] {
        fs::remove_file(path.with_extension(extension)).unwrap();
    }
    fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        let refusal = file.read(vec![0], vec![]).await.unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("{} is not a file", path.display())), "{refusal}");
    }
    fs::remove_dir(&path).unwrap();
    answers(&file).await;
    works_on_a_new_file(&file).await;
}

#[tokio::test]
async fn a_file_that_is_deleted_while_open_is_made_anew() {
    for leavings in [&["sqlite"][..], &["sqlite", "sqlite-wal", "sqlite-shm"]] {
        let (_folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        assert_eq!(has(&file, ["before"]).await, [true]);
        for extension in leavings {
            fs::remove_file(path.with_extension(extension)).unwrap();
        }
        assert_eq!(has(&file, ["before"]).await, [false]);
        works_on_a_new_file(&file).await;
        assert_eq!(has(&opened(&path), ["before", "new"]).await, [false, true]);
    }
}

#[tokio::test]
async fn what_another_process_has_replaced_is_left_for_the_new_one() {
    let (folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    let another = opened(&path);
    put(&another, "theirs").await;
    put(&file, "ours").await;
    assert_eq!(has(&file, ["before", "theirs", "ours"]).await, [false, true, true]);
    assert_eq!(has(&another, ["before", "theirs", "ours"]).await, [false, true, true]);
}

#[test]
fn of_two_that_start_on_garbage_neither_loses_what_the_other_wrote() {
    for _ in 0..20 {
        let (_folder, path) = place();
        fs::write(&path, "garbage".repeat(1_000)).unwrap();
        thread::scope(|scope| {
            for name in ["one", "other"] {
                let path = &path;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async { put(&opened(path), name).await });
                });
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(has(&opened(&path), ["one", "other"])), [true, true]);
        assert!(aside(&path, 1).exists() && !aside(&path, 2).exists());
    }
}

#[tokio::test]
async fn the_lock_of_another_program_holds_no_write_for_long_and_no_read() {
    let (_folder, path) = place();
    let file = opened(&path);
    put(&file, "before").await;
    let lock = Connection::open(&path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let locked = file.write(vec![record("late", 10, Dear)]).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(locked.to_string().contains("locked"), "{locked}");
    assert_eq!(has(&opened(&path), ["before", "late"]).await, [true, false]);
    drop(lock);
    works_on_a_new_file(&file).await;
}

#[tokio::test]
async fn a_reader_that_does_not_end_stops_the_writes_before_the_log_is_too_large() {
    let (_folder, path) = place();
    let mut file = opened(&path);
    file.max_log_bytes = 200_000;
    put(&file, "before").await;
    let snapshot = Connection::open(&path).unwrap();
    snapshot.execute_batch("BEGIN; SELECT * FROM mark").unwrap();
    let mut writes = 0..20;
    let held = loop {
        let name = writes.next().expect("a write is refused").to_string();
        if let Err(error) = file.write(vec![record(&name, 40_000, Dear)]).await {
            break error.to_string();
        }
    };
    assert!(held.contains("log"), "{held}");
    let size = || fs::metadata(path.with_extension("sqlite-wal")).unwrap().len();
    assert!(size() < 300_000, "{} bytes", size());
    drop(snapshot);
    works_on_a_new_file(&file).await;
    assert!(size() < 100_000, "{} bytes", size());
}

#[tokio::test]
async fn a_panic_ends_its_own_work_alone() {
    let (_folder, path) = place();
    let file = opened(&path);
    let outcome = file.writer.run::<()>(|_| panic!("on purpose")).await;
    assert!(matches!(outcome, Err(FileError::Aborted)));
    works_on_a_new_file(&file).await;
}
