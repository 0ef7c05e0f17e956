//! The list of the functions. Each call is dispatched to the function that the question, key or entry belongs to.
//!
//! A function is added in a file of its own, which implements [`Function`], and in the lists at the end of this one.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use super::{fib, function::Function, limits::Limits, pi_digits};
use crate::{
    cache::{Height, Ladder, Retention, Want},
    math::{fib::Index, pi::Terms, pi_digits::Span, residue::Prime},
    workers::Workers,
};

/// Makes the enumerations over all functions, which pass on to each what is asked of it.
macro_rules! functions {
    ($($(#[$words:meta])* $name:ident: $function:ty,)*) => {
        /// One thing to know. Questions that are equal have one answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Question { $($(#[$words])* $name($function),)* }

        /// The name of an entry. The 1 in it is the version of the encoding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Key { $($name(<$function as Function>::Key),)* }

        /// A proven entry.
        #[derive(Clone, Debug)]
        pub(super) enum Entry { $($name(<$function as Function>::Entry),)* }

        /// The value that answers a question.
        #[derive(Clone, Debug)]
        pub enum Value { $($(#[$words])* $name(<$function as Function>::Value),)* }

        $(
            impl From<<$function as Function>::Key> for Key {
                fn from(key: <$function as Function>::Key) -> Self {
                    Self::$name(key)
                }
            }

            impl From<<$function as Function>::Entry> for Entry {
                fn from(entry: <$function as Function>::Entry) -> Self {
                    Self::$name(entry)
                }
            }

            impl From<$function> for Question {
                fn from(question: $function) -> Self {
                    Self::$name(question)
                }
            }

            impl FromValue for $function {
                fn from_value(value: Value) -> Option<Self::Value> {
                    match value {
                        Value::$name(value) => Some(value),
                        _ => None,
                    }
                }
            }
        )*

        impl Question {
            /// Adds the entries that it wants to others.
            pub(super) fn add_wants(self, wants: &mut Vec<Want<Key>>) {
                match self {
                    $(Self::$name(question) => wants.extend(question.wants().map(
                        |Want { key, bytes, ladder, mark }| Want { key: Key::$name(key), bytes, ladder, mark },
                    )),)*
                }
            }

            pub(super) fn top(self, limits: &Limits) -> Option<Height> {
                match self { $(Self::$name(question) => question.top(limits),)* }
            }

            /// Reads its value off the entries that it wants. `None` when the value fails its proof.
            pub(super) fn read(self, entries: impl Iterator<Item = Entry>, prime: &Prime) -> Option<Value> {
                match self {
                    $(Self::$name(question) => {
                        let own = entries.map(|entry| match entry {
                            Entry::$name(entry) => entry,
                            other => unreachable!("{other:?} is no entry of {question:?}"),
                        });
                        question.read(own, prime).map(Value::$name)
                    })*
                }
            }

            pub(super) fn limbs(self) -> usize {
                match self { $(Self::$name(question) => question.limbs(),)* }
            }

            fn digits_after(self, before: Option<Self>) -> usize {
                match (self, before) {
                    $(
                        (Self::$name(question), Some(Self::$name(before))) => question.digits(Some(before)),
                        (Self::$name(question), _) => question.digits(None),
                    )*
                }
            }

            fn has_limit(self) -> bool {
                match self { $(Self::$name(_) => <$function>::HAS_LIMIT,)* }
            }

            /// Approximate bytes of its value, in memory or in transit from the store.
            #[must_use]
            pub fn bytes(self) -> usize {
                match self { $(Self::$name(question) => question.bytes(),)* }
            }
        }

        impl Key {
            /// The key of this name, if it is one that this version writes.
            pub(super) fn of(name: &str) -> Option<Self> {
                let key = None$(.or_else(|| <$function>::key(name).map(Self::$name)))*;
                key.filter(|key| key.to_string() == name)
            }

            pub(super) fn height(&self) -> Option<Height> {
                match *self { $(Self::$name(key) => <$function>::height(key),)* }
            }

            pub(super) fn retention(&self) -> Retention {
                match *self { $(Self::$name(key) => <$function>::retention(key),)* }
            }

            pub(super) fn prove(self, bytes: &[u8], prime: &Prime) -> Option<Entry> {
                match self { $(Self::$name(key) => <$function>::prove(key, bytes, prime).map(Entry::$name),)* }
            }

            pub(super) fn answers_above_mark(self) -> bool {
                match self { $(Self::$name(_) => <$function>::ANSWERS_ABOVE_MARK,)* }
            }

            pub(super) fn ahead(self, limits: &Limits) -> Self {
                match self { $(Self::$name(key) => Self::$name(<$function>::ahead(key, limits)),)* }
            }

            pub(super) fn makes(self, key: Self) -> bool {
                match (self, key) {
                    $((Self::$name(evaluated), Self::$name(key)) => <$function>::makes(evaluated, key),)*
                    _ => false,
                }
            }

            pub(super) fn follows(self, before: Self) -> bool {
                match (self, before) {
                    $((Self::$name(key), Self::$name(before)) => <$function>::follows(key, before),)*
                    _ => false,
                }
            }

            pub(super) fn work(self) -> usize {
                match self { $(Self::$name(key) => <$function>::work(key),)* }
            }

            /// Evaluates and proves entries of one function. `None` when one failed its proof.
            pub(super) fn evaluate(keys: &[Self], prime: &Prime) -> Option<Vec<(Self, Entry)>> {
                match keys.first()? {
                    $(Self::$name(_) => {
                        let own = keys.iter().filter_map(|key| match key {
                            Self::$name(key) => Some(*key),
                                _ => None,
                        });
                        let entries = <$function>::evaluate(&own.collect::<Vec<_>>(), prime)?;
                        let entry = |(key, entry)| (Self::$name(key), Entry::$name(entry));
                        Some(entries.into_iter().map(entry).collect())
                    })*
                }
            }
        }

        impl Entry {
            pub(super) fn weight(&self) -> usize {
                match self { $(Self::$name(entry) => <$function>::weight(entry),)* }
            }

            pub(super) fn to_bytes(&self) -> Vec<u8> {
                match self { $(Self::$name(entry) => <$function>::to_bytes(entry),)* }
            }
        }

        impl Display for Question {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name(question) => question.name(out),)* }
            }
        }

        impl Display for Key {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name(key) => key.fmt(out),)* }
            }
        }
    };
}

/// A function whose values are told from those of others.
pub trait FromValue: Function + Into<Question> {
    /// The value, if it is one of this function.
    fn from_value(value: Value) -> Option<Self::Value>;
}

/// Each of some questions once, in order.
#[must_use]
pub fn distinct(mut questions: Vec<Question>) -> Vec<Question> {
    questions.sort_unstable();
    questions.dedup();
    questions
}

/// The digits to evaluate for some questions, as they are counted for the cost of a request.
#[must_use]
pub fn digits_to_evaluate<'a>(questions: impl IntoIterator<Item = &'a Question>) -> usize {
    let mut before = None;
    let digits = questions.into_iter().map(|&question| question.digits_after(before.replace(question)));
    digits.fold(0, usize::saturating_add)
}

/// The digits of questions whose function has a limit of its own: a request may evaluate them in addition to its budget.
#[must_use]
pub fn digits_admitted<'a>(questions: impl IntoIterator<Item = &'a Question>) -> usize {
    digits_to_evaluate(questions.into_iter().filter(|question| question.has_limit()))
}

functions! {
    /// F(n).
    Fib: Index,
    /// √(6·Σ 1/i²) over this many terms.
    Pi: Terms,
    /// Digits of π.
    PiDigits: Span,
}

/// The keys of the marks, by the number of their ladder.
pub(super) const MARKS: [&str; 2] = {
    let mut marks = [""; 2];
    marks[fib::LADDER] = fib::MARK;
    marks[pi_digits::LADDER] = pi_digits::MARK;
    marks
};

/// The ladders, by their numbers.
pub(super) fn ladders(workers: &Arc<Workers>, prime: Prime) -> Vec<Ladder<Key, Entry>> {
    let growth = |number| match number {
        fib::LADDER => fib::growth(Arc::clone(workers), prime),
        _ => pi_digits::growth(),
    };
    (0..).zip(MARKS).map(|(number, mark)| Ladder { mark, growth: growth(number) }).collect()
}

/// The rungs of a ladder that a mark vouches for, in order.
pub(super) fn rungs(ladder: usize, mark: Option<u32>) -> impl Iterator<Item = Key> {
    let rung = move |number| match ladder {
        fib::LADDER => fib::Key::of_rung(number).map(Key::Fib),
        _ => pi_digits::Key::of_block(number).map(Key::PiDigits),
    };
    let is_vouched = move |key: &Key| key.height().map(|height| height.mark) <= mark;
    (0_u32..).map_while(rung).take_while(is_vouched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name() {
        for name in [
            "1:fib:rung:0",
            "1:fib:rung:781",
            "1:fib:n:100001",
            "1:fib:n:100000000",
            "1:pi:0",
            "1:pi:2147483647",
            "1:pi:digits:0",
            "1:pi:digits:2712",
        ] {
            assert_eq!(Key::of(name).expect(name).to_string(), name);
        }
        for name in [
            "",
            "1:fib:top",
            "1:fib:rung:782",
            "1:fib:rung:07",
            "1:fib:n:+100001",
            "1:fib:n:7",
            "1:fib:n:100000",
            "1:fib:n:1000000000",
            "1:pi:-1",
            "2:pi:1",
            "1:pi:1 ",
            "1:pi:digits:2713",
            "1:pi:digits:00",
            "1:pi:digits:top",
        ] {
            assert_eq!(Key::of(name), None, "{name}");
        }
    }
}
