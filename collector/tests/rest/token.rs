use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::Request;
use lazymesh_collector::api::{Token, TokenError};

use crate::api::{Api, Setup};

const SECRET: &str = "correct-horse-battery";

fn write(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    fs::write(&path, text).expect("a file");
    allow(&path, 0o640);
    (dir, path)
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permitted");
}

/// A collector whose admin port asks for the token of a file.
async fn guarded(path: &Path) -> Api {
    let token = Some(Token::read(path).expect("a token"));
    Setup {
        token,
        ..Setup::default()
    }
    .start()
    .await
}

#[test]
fn a_file_that_others_can_read_is_no_secret() {
    let (_dir, path) = write(SECRET);
    for (mode, is_taken) in [(0o600, true), (0o440, true), (0o644, false), (0o642, false)] {
        allow(&path, mode);
        let token = Token::read(&path).map(drop);
        let refused = matches!(token, Err(TokenError::Open { .. }));
        assert_eq!((token.is_ok(), refused), (is_taken, !is_taken), "{mode:o}");
    }
}

/// A token is changed by writing another into the file; what cannot be used leaves the one before.
#[tokio::test]
async fn a_token_that_is_changed_counts_without_a_restart() {
    let (_dir, path) = write(SECRET);
    let api = guarded(&path).await;
    let status = async |token: &str| {
        let header = format!("Bearer {token}");
        let request = Request::get("/v1/graph").header("authorization", header);
        let answer = api.admin(request.body(Body::empty()).expect("a request"));
        answer.await.status.as_u16()
    };
    let until = async |token: &str, expect: u16| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while status(token).await != expect {
            assert!(
                Instant::now() < deadline,
                "{token} is not answered {expect}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    fs::write(&path, "staple-battery-horse").expect("a file");
    until("staple-battery-horse", 200).await;
    assert_eq!(status(SECRET).await, 401);
    fs::write(&path, "short").expect("a file");
    assert_eq!(status("staple-battery-horse").await, 200);
    fs::remove_file(&path).expect("removed");
    assert_eq!(status("staple-battery-horse").await, 200);
    let request = Request::get("/metrics").header("authorization", "Bearer staple-battery-horse");
    let metrics = api.admin(request.body(Body::empty()).expect("a request"));
    let metrics = metrics.await;
    let counted = |line: &str| {
        let count = line.strip_prefix("lazymesh_admin_unauthorized_total ")?;
        count.parse::<u64>().ok()
    };
    assert!(metrics.text().lines().find_map(counted) >= Some(1));
}

#[tokio::test]
async fn only_the_token_opens_the_admin_port() {
    let (_dir, path) = write(&format!("{SECRET}\n"));
    let api = guarded(&path).await;
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
    let api = guarded(&path).await;
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
