use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// The number of indices of a rung.
const SPACING: u32 = 10;

/// The number of rungs that were made, and of values that were encoded.
#[derive(Clone, Default)]
struct Work {
    made: Arc<AtomicUsize>,
    encoded: Arc<AtomicUsize>,
}

impl Work {
    fn done(&self) -> [usize; 2] {
        [&self.made, &self.encoded].map(|count| count.load(Ordering::Relaxed))
    }
}

/// A cache whose entries are their own keys. Keys from 1,000 on are too large for the store.
fn cache(location: Location, work: &Work) -> Cache<u32, u32> {
    let (made, encoded) = (Arc::clone(&work.made), Arc::clone(&work.encoded));
    Cache::open(Settings {
        location,
        prefix: String::new(),
        proof: Box::new(|key: u32, bytes| {
            let verdict = if bytes == key.to_be_bytes() { Verdict::Proven(key) } else { Verdict::Refuted };
            Box::pin(async { verdict })
        }),
        encode: Box::new(move |values: Vec<u32>| {
            encoded.fetch_add(values.len(), Ordering::Relaxed);
            Box::pin(async move { Some(values.iter().map(|value| value.to_be_bytes().into()).collect()) })
        }),
        ladders: vec![Ladder {
            mark: "mark",
            growth: Box::new(move |from, top, _, memory| {
                let numbers = from.map_or(0, |from| from / SPACING + 1)..=top / SPACING;
                made.fetch_add(numbers.clone().filter(|rung| memory.get(rung).is_none()).count(), Ordering::Relaxed);
                Box::pin(async move { Some(Rungs { entries: numbers.map(|rung| (rung, rung)).collect(), mark: top }) })
            }),
        }],
        height: |&key| (key < 100).then_some(Height { ladder: 0, mark: key * SPACING }),
        retention: |key| if *key < 1_000 { Retention::Dear } else { Retention::Local },
        weight: |_| 4,
    })
    .unwrap()
}

#[tokio::test]
async fn rungs_are_made_once_and_encoded_for_a_store_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::Sqlite { path: folder.path().join("cache.sqlite"), is_default: false };
    for (location, encoded) in [(Location::Memory { is_default: false }, 0), (file, 6)] {
        let work = Work::default();
        let cache = cache(location, &work);
        let wants = [Want { key: 4, bytes: 4, ladder: Some(0), mark: Some(45) }];
        let found = cache.find(&wants).await;
        cache.keep(vec![(500, 500), (1_000, 1_000)], vec![Height { ladder: 0, mark: 45 }], &found.lookup).await;
        cache.drain(Duration::from_secs(10)).await;
        assert_eq!(work.done(), [5, encoded], "five rungs, and one value that is to be stored");
        let large = Want { key: 1_000, bytes: 4, ladder: None, mark: None };
        assert_eq!(
            cache.find(&[&wants[..], &[large]].concat()).await.entries,
            [Entry::Vouched(4), Entry::Vouched(1_000)]
        );
    }
}
