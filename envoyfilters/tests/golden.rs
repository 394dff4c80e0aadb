//! The rendered objects, for every Istio version, as people review and apply them.
//!
//! `UPDATE_GOLDEN=1 cargo test -p lazymesh-envoyfilters` rewrites the files.

use std::fs;
use std::path::PathBuf;

use lazymesh_envoyfilters::{AccessLog, Attachment, IstioVersion};
use lazymesh_protocol::FilterConfig;

#[test]
fn objects_are_the_golden_ones() {
    for istio in IstioVersion::ALL {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("golden")
            .join(format!("istio-{istio}.yaml"));
        let rendered = example(istio).yaml();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, rendered).unwrap();
            continue;
        }
        let golden = fs::read_to_string(&file).unwrap();
        assert_eq!(
            rendered,
            golden,
            "{} differs; if that is meant, set UPDATE_GOLDEN=1",
            file.display()
        );
    }
}

fn example(istio: IstioVersion) -> Attachment {
    let digest = "0123456789abcdef".repeat(4);
    let collector = "outbound|8480||lazymesh-collector.lazymesh-system.svc.cluster.local";
    Attachment {
        http_ports: [80, 8080].into(),
        sha256: Some(digest.clone()),
        als: Some(AccessLog {
            host: "lazymesh-collector.lazymesh-system.svc.cluster.local".to_owned(),
            percent: 10,
        }),
        ..Attachment::new(
            istio,
            format!("oci://registry.example/lazymesh/filter@sha256:{digest}"),
            FilterConfig {
                mesh_prefixes: vec!["10.96.0.0/16".to_owned(), "10.244.0.0/24".to_owned()],
                ..FilterConfig::new(collector)
            },
        )
    }
}
