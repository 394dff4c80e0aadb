use std::path::Path;

use axum::body::Body;
use http::Request;
use lazymesh_collector::api::{Token, TokenError};

use crate::api::Setup;

const SECRET: &str = "correct-horse-battery";

fn write(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    std::fs::write(&path, text).expect("a file");
    (dir, path)
}

#[tokio::test]
async fn only_the_token_opens_the_admin_port() {
    let (_dir, path) = write(&format!("{SECRET}\n"));
    let token = Some(Token::read(&path).expect("a token"));
    let api = Setup {
        token,
        ..Setup::default()
    }
    .start()
    .await;
    let right = format!("Bearer {SECRET}");
    for (header, status) in [
        (None, 401),
        (Some("Bearer "), 401),
        (Some("Bearer correct-horse-batterz"), 401),
        (Some("Bearer correct-horse-battery-staple"), 401),
        (Some(SECRET), 401),
        (Some("Basic correct-horse-battery"), 401),
        (Some(&*right), 200),
        (Some("bearer correct-horse-battery"), 200),
    ] {
        for path in [
            "/v1/workloads",
            "/v1/always-visible",
            "/v1/graph",
            "/v1/external-hosts",
            "/metrics",
            "/openapi.json",
        ] {
            let mut request = Request::get(path);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let answer = api
                .admin(request.body(Body::empty()).expect("a request"))
                .await;
            assert_eq!(answer.status, status, "{path} {header:?}");
            let challenge = if status == 401 { "Bearer" } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
    }
}

#[tokio::test]
async fn probes_need_no_token() {
    let (_dir, path) = write(SECRET);
    let token = Some(Token::read(&path).expect("a token"));
    let api = Setup {
        token,
        ..Setup::default()
    }
    .start()
    .await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
}

#[test]
fn what_is_no_secret_is_no_token() {
    for text in [
        "",
        "\n",
        "short",
        "sixteen chars ok",
        "sixteen\tcharacters",
        "sixteen-characters-é",
    ] {
        let (_dir, path) = write(text);
        assert!(
            matches!(Token::read(&path), Err(TokenError::Weak { .. })),
            "{text:?}"
        );
    }
    assert!(matches!(
        Token::read(Path::new("/nowhere/token")),
        Err(TokenError::Io { .. })
    ));
}
