//! Says who may call what.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

/// The admin port's bearer token.
pub(super) const TOKEN: &str = "token";
/// The mesh's identity of the caller.
pub(super) const MESH: &str = "mesh";

/// Says that all routes of a document ask for this, where the collector was told to.
pub(super) fn require(document: &mut OpenApi, scheme: &str) {
    let none = SecurityRequirement::default();
    let one = SecurityRequirement::new(scheme, Vec::<String>::new());
    for operation in operations(document) {
        operation.security = Some(vec![none.clone(), one.clone()]);
    }
}

/// Describes what may be asked for.
pub(super) fn describe(components: &mut Components) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token of --admin-token-file; none is asked for without that flag",
        ));
    let mesh = SecurityScheme::MutualTls {
        description: Some(
            "Istio's mTLS between sidecars, with --ingest-identity xfcc; none is asked for without that flag"
                .to_owned(),
        ),
        deprecated: None,
        extensions: None,
    };
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    components.add_security_scheme(MESH, mesh);
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(|item| {
        [&mut item.get, &mut item.post, &mut item.delete]
            .into_iter()
            .flatten()
    })
}
