//! Lays out the answer to a question as one schema for each decision.
//!
//! A decision is one of several, and an answer is a decision with more beside it. The schema that follows from the
//! types, a choice inside a composition, is one that generators of clients lose.

use utoipa::openapi::schema::{Discriminator, Object, OneOf, Schema};
use utoipa::openapi::{Components, Ref, RefOr};

const ANSWER: &str = "ResolveResponse";
const DECISION: &str = "Decision";
const TAG: &str = "decision";

/// Turns the answer into a choice between `DirectResponse`, `HoldResponse` and so on.
pub(super) fn lay_out(components: &mut Components) {
    let schemas = &mut components.schemas;
    let (Some(RefOr::T(Schema::AllOf(answer))), Some(RefOr::T(Schema::OneOf(decision)))) =
        (schemas.remove(ANSWER), schemas.remove(DECISION))
    else {
        return;
    };
    let beside: Vec<Object> = answer.items.into_iter().filter_map(object).collect();
    let mut choice = OneOf {
        description: answer.description,
        ..OneOf::default()
    };
    let mut discriminator = Discriminator::new(TAG);
    for mut one in decision.items.into_iter().filter_map(object) {
        let Some(tag) = tag(&one) else { continue };
        for more in &beside {
            one.properties.extend(more.properties.clone());
            one.required.extend(more.required.iter().cloned());
        }
        let name = format!("{}Response", capitalized(&tag));
        let reference = Ref::from_schema_name(&name);
        discriminator
            .mapping
            .insert(tag, reference.ref_location.clone());
        choice.items.push(reference.into());
        schemas.insert(name, one.into());
    }
    choice.discriminator = Some(discriminator);
    schemas.insert(ANSWER.to_owned(), RefOr::T(choice.into()));
}

fn object(schema: RefOr<Schema>) -> Option<Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}

/// The one value that the tag of this object has.
fn tag(object: &Object) -> Option<String> {
    let RefOr::T(Schema::Object(tag)) = object.properties.get(TAG)? else {
        return None;
    };
    let value = tag.enum_values.as_ref()?.first()?;
    value.as_str().map(str::to_owned)
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
