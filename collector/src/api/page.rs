//! Lists come in pages, each after the last item of the one before.
//!
//! A cursor is a key and not a position, so what is there from the first page to the last is seen exactly
//! once, whatever comes and goes in between.

use std::fmt::Display;
use std::str::FromStr;

use lazymesh_core::Workload;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::problem::Problem;
use crate::state::PIECE;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most items in the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items, sorted.
    pub(crate) items: Vec<T>,
    /// `cursor` of the page that follows; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    pub(crate) fn map<U>(self, view: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(view).collect(),
            next: self.next,
        }
    }
}

/// A checked [`PageQuery`].
pub(crate) struct Cut<K> {
    after: Option<K>,
    limit: usize,
}

impl PageQuery {
    /// # Errors
    /// A problem that names the parameter.
    pub(crate) fn cut<K: FromStr>(&self) -> Result<Cut<K>, Problem> {
        let limit = match self.limit.as_deref().map(str::parse::<usize>) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                return Err(Problem::field(
                    "limit",
                    format!("expected a number from 1 to {MAX_LIMIT}"),
                ));
            }
        };
        let after = self.cursor.as_deref().map(str::parse).transpose();
        let after = after.map_err(|_| {
            Problem::field(
                "cursor",
                "expected `next` of the page before, exactly as it was given",
            )
        })?;
        Ok(Cut { after, limit })
    }
}

impl<K: Ord + Display> Cut<K> {
    /// Reads a page of a sorted list. `piece` gives what follows a key, at most so many at once, each with its own.
    ///
    /// # Errors
    /// Those of `piece`.
    pub(crate) fn read<T>(
        self,
        mut piece: impl FnMut(Option<&K>, usize) -> Result<Vec<(K, T)>, Problem>,
    ) -> Result<Page<T>, Problem> {
        let Self { mut after, limit } = self;
        let mut items = Vec::new();
        loop {
            // One more than the page has says whether another page follows.
            let wanted = (limit + 1 - items.len()).min(PIECE);
            let more = piece(after.as_ref(), wanted)?;
            let is_end = more.len() < wanted;
            for (key, item) in more {
                if items.len() == limit {
                    let next = after.map(|last| last.to_string());
                    return Ok(Page { items, next });
                }
                items.push(item);
                after = Some(key);
            }
            if is_end {
                return Ok(Page { items, next: None });
            }
        }
    }
}

/// Key of an external host: `<namespace>/<workload>/<host>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExternalKey {
    pub(crate) source: Workload,
    pub(crate) host: String,
}

impl Display for ExternalKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.source, self.host)
    }
}

impl FromStr for ExternalKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '/');
        let (Some(namespace), Some(name), Some(host)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let source = Workload::new(namespace, name).map_err(|_| ())?;
        let host = host.to_owned();
        Ok(Self { source, host })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn query(limit: Option<&str>, cursor: Option<&str>) -> PageQuery {
        PageQuery {
            limit: limit.map(str::to_owned),
            cursor: cursor.map(str::to_owned),
        }
    }

    #[test]
    fn parameters_are_checked() {
        let check = |limit, cursor, field: Option<&str>| {
            let result = query(limit, cursor).cut::<Workload>();
            let found = result.err().and_then(|problem| problem.field);
            assert_eq!(found.as_deref(), field, "{limit:?} {cursor:?}");
        };
        check(None, None, None);
        check(Some("1"), None, None);
        check(Some("1000"), Some("shop/web"), None);
        for limit in ["0", "1001", "-1", "", "x", "99999999999999999999"] {
            check(Some(limit), None, Some("limit"));
        }
        for cursor in ["", "shop", "shop/", "/web", "Shop/web", "shop/\u{1b}[31m"] {
            check(None, Some(cursor), Some("cursor"));
        }
    }

    fn page(items: &BTreeSet<u32>, limit: &str, cursor: Option<&str>) -> Page<u32> {
        let cut = query(Some(limit), cursor).cut::<u32>().expect("valid");
        let piece = |after: Option<&u32>, count| {
            assert!(count <= PIECE);
            let start = after.map_or(0, |after| after + 1);
            Ok(items.range(start..).take(count).map(|n| (*n, *n)).collect())
        };
        cut.read(piece).expect("no problem")
    }

    #[test]
    fn every_item_comes_once_while_others_come_and_go() {
        let there: BTreeSet<u32> = (0..300).map(|n| n * 10).collect();
        for limit in [1, 3, 99, 100, 101, 127, 128, 129, 400] {
            let (mut items, mut seen, mut cursor) = (there.clone(), Vec::<u32>::new(), None);
            loop {
                let page = page(&items, &limit.to_string(), cursor.as_deref());
                seen.extend(page.items.iter().filter(|item| there.contains(item)));
                items.extend(
                    page.items
                        .iter()
                        .flat_map(|item| [item + 1, item.saturating_sub(1)]),
                );
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert_eq!(
                seen,
                there.iter().copied().collect::<Vec<_>>(),
                "limit {limit}"
            );
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let check = |items: &[u32], limit: &str, expect: Option<&str>| {
            let items = items.iter().copied().collect();
            assert_eq!(page(&items, limit, None).next.as_deref(), expect);
        };
        check(&[1, 2], "2", None);
        check(&[1, 2, 3], "2", Some("2"));
        check(&[], "2", None);
        let many: Vec<u32> = (1..=256).collect();
        check(&many, "256", None);
        check(&many, "255", Some("255"));
    }
}
