//! Walks the graph piece by piece, so that nobody who asks about a host waits for somebody who reads all of it.
//!
//! Only the copying of a piece happens under the lock. The next piece is made when the client has taken in this one.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use lazymesh_core::{Dependency, ExternalHost, Picture};
use serde::Serialize;

use crate::api::views::{DependencyView, ExternalHostView};
use crate::state::{PIECE, SharedView};

/// The graph as text, in pieces.
pub(super) struct Walk {
    view: Arc<SharedView>,
    form: Form,
    at: At,
}

enum Form {
    Json,
    Picture(Picture),
}

enum At {
    Start,
    Dependencies(Option<Dependency>),
    Externals(Option<ExternalHost>),
    End,
}

impl Walk {
    pub(super) fn json(view: Arc<SharedView>) -> Self {
        Self::new(view, Form::Json)
    }

    pub(super) fn picture(view: Arc<SharedView>, picture: Picture) -> Self {
        Self::new(view, Form::Picture(picture))
    }

    fn new(view: Arc<SharedView>, form: Form) -> Self {
        let at = At::Start;
        Self { view, form, at }
    }

    fn dependencies(&mut self, after: Option<Dependency>) -> (String, At) {
        let items: Vec<Dependency> = {
            let graph = &self.view.look().graph;
            let after = after.as_ref().map(|last| (&last.source, &last.host));
            graph.iter_after(after).take(PIECE).cloned().collect()
        };
        let mut out = String::new();
        let Some(last) = items.last().cloned() else {
            return match &self.form {
                Form::Json => ("],\"external_hosts\":[".to_owned(), At::Externals(None)),
                Form::Picture(picture) => (picture.foot().to_owned(), At::End),
            };
        };
        match &mut self.form {
            Form::Json => elements(
                items.iter().map(DependencyView::from),
                after.is_none(),
                &mut out,
            ),
            Form::Picture(picture) => items.iter().for_each(|item| picture.edge(item, &mut out)),
        }
        (out, At::Dependencies(Some(last)))
    }

    fn externals(&self, after: Option<ExternalHost>) -> (String, At) {
        let items: Vec<ExternalHost> = {
            let graph = &self.view.look().graph;
            let after = after.as_ref().map(|last| (&last.source, &*last.host));
            graph.externals_after(after).take(PIECE).cloned().collect()
        };
        let Some(last) = items.last().cloned() else {
            return ("]}".to_owned(), At::End);
        };
        let mut out = String::new();
        elements(
            items.iter().map(ExternalHostView::from),
            after.is_none(),
            &mut out,
        );
        (out, At::Externals(Some(last)))
    }
}

/// The elements of a JSON array.
fn elements<T: Serialize>(items: impl Iterator<Item = T>, first: bool, out: &mut String) {
    for (index, item) in items.enumerate() {
        if index > 0 || !first {
            out.push(',');
        }
        // Strings and numbers always have a JSON form.
        out.push_str(&serde_json::to_string(&item).unwrap_or_default());
    }
}

impl Iterator for Walk {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let view = Arc::clone(&self.view);
        let _turn = view.turn();
        let (text, next) = match mem::replace(&mut self.at, At::End) {
            At::Start => {
                let head = match &self.form {
                    Form::Json => "{\"dependencies\":[",
                    Form::Picture(picture) => picture.head(),
                };
                (head.to_owned(), At::Dependencies(None))
            }
            At::Dependencies(after) => self.dependencies(after),
            At::Externals(after) => self.externals(after),
            At::End => return None,
        };
        self.at = next;
        Some(text.into())
    }
}
