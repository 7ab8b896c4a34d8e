//! Rule 21: presigned requests, as far as they can be judged without a client of HTTP.

use std::time::{Duration, SystemTime};

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use storehouse_objectstore::{Error, PresignMethod, PresignOptions};

pub(in super::super) async fn are_honoured_or_not(fixture: Fixture) {
    let key = fixture.key("presigned");
    let minute = Duration::from_secs(60);
    for method in [
        PresignMethod::Get,
        PresignMethod::Head,
        PresignMethod::Put,
        PresignMethod::Delete,
    ] {
        let options = PresignOptions::new(method, minute);
        let before = SystemTime::now();
        let signed = fixture.store().presign(&key, options).await;
        if !fixture.store().capabilities().presign {
            ensure_err!(
                21,
                signed,
                Error::Unsupported { .. },
                "presign, which the capabilities do not have"
            );
            continue;
        }
        let signed = signed.or_fail(21, "presign");
        ensure_eq!(
            21,
            signed.method,
            method,
            "the method of a presigned request"
        );
        ensure!(
            21,
            signed.url.starts_with("http") && signed.url.contains("presigned"),
            "a presigned request has a URL without its key"
        );
        ensure!(
            21,
            signed.expires >= before + minute - Duration::from_secs(2)
                && signed.expires <= SystemTime::now() + minute + Duration::from_secs(2),
            "a presigned request of a minute expires at {:?}",
            signed.expires
        );
        for wrong in [
            Duration::ZERO,
            PresignOptions::MAX_EXPIRES + Duration::from_secs(1),
        ] {
            let options = PresignOptions::new(method, wrong);
            let refused = fixture.store().presign(&key, options).await;
            ensure_err!(
                21,
                refused,
                Error::InvalidRequest { .. },
                "presign for {wrong:?}"
            );
        }
    }
    fixture
        .assert_holds(21, &key, None, "after requests were signed and not sent")
        .await;
}
