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
    pub(crate) fn map<U>(self, view: impl Fn(T) -> U) -> Page<U> {
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

impl<K> Cut<K> {
    /// The last item of the page before.
    pub(crate) fn after(&self) -> Option<&K> {
        self.after.as_ref()
    }
}

impl<K: Ord + Display> Cut<K> {
    /// Cuts a page out of a list that is sorted by `key`.
    pub(crate) fn page<T>(&self, items: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Page<T> {
        let mut rest =
            items.filter(|item| self.after.as_ref().is_none_or(|after| *after < key(item)));
        let items: Vec<T> = rest.by_ref().take(self.limit).collect();
        let more = rest.next().is_some();
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| key(last).to_string());
        Page { items, next }
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

    #[test]
    fn every_item_comes_once_while_others_come_and_go() {
        let there: BTreeSet<u32> = (0..100).map(|n| n * 10).collect();
        for limit in [1, 3, 99, 100, 101] {
            let (mut items, mut seen, mut cursor) = (there.clone(), Vec::<u32>::new(), None);
            loop {
                let cut = query(Some(&limit.to_string()), cursor.as_deref())
                    .cut()
                    .expect("valid");
                let page = cut.page(items.iter().copied(), |item| *item);
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
        let cut = query(Some("2"), None).cut::<u32>().expect("valid");
        assert_eq!(cut.page([1, 2].into_iter(), |n| *n).next, None);
        assert_eq!(
            cut.page([1, 2, 3].into_iter(), |n| *n).next.as_deref(),
            Some("2")
        );
        assert_eq!(cut.page(std::iter::empty(), |n| *n).next, None);
    }
}
