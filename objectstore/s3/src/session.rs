//! What is learned from answers that ask for a request in another way, and whether to do so.
//!
//! | answer | what changes |
//! |---|---|
//! | a redirect with `Location`, or with S3's `<Endpoint>` | the URL of this request, at most 3 times, only to hosts that [`Endpoint::redirect`] allows |
//! | another region, by `x-amz-bucket-region` or `<Region>` | the region of all requests, unless one is configured |
//! | `RequestTimeTooSkewed` | the clock of all signatures, by the server's `Date` |
//! | `ExpiredToken` | the keys, if there are others to be had |
//! | 417 | no request waits for `100 Continue` any more |
//! | 411 | all requests say their length, also if they have no body |
//!
//! Source: RFC 9110, sections 10 and 15.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::{Method, StatusCode, Uri};

use crate::credentials::{Keys, SharedCredentials};
use crate::endpoint::Endpoint;
use crate::error::Refusal;

/// The most redirects of one request.
const MAX_HOPS: u32 = 3;

/// A refusal without a body says that the clocks differ, if they do so by this much. S3 allows 15
/// minutes.
const SKEW: Duration = Duration::from_secs(300);

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) region: String,
    /// Instead of the endpoint's own: a redirect's.
    pub(crate) url: Option<String>,
}

/// What all requests of a store go by.
#[derive(Debug)]
pub(crate) struct Session {
    home: RwLock<Arc<Target>>,
    /// No region is configured: the server's word is taken.
    follows_region: bool,
    /// The server's clock less this machine's, in seconds.
    skew: AtomicI64,
    /// Large bodies wait for `100 Continue`.
    pub(crate) expects: AtomicBool,
    /// A length is sent even if there is no body.
    pub(crate) tells_length: AtomicBool,
}

/// One request and how it was changed so far.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) target: Arc<Target>,
    /// The URL and the keys of the last attempt.
    pub(crate) sent_to: Option<Uri>,
    pub(crate) keys: Option<Arc<Keys>>,
    /// What the last attempt went by, of what all requests go by: another request may have changed
    /// that meanwhile, and this one is to be sent again all the same.
    pub(crate) waited: bool,
    pub(crate) told_length: bool,
    skew: i64,
    hops: u32,
    renewed: bool,
    set_clock: bool,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Session {
    pub(crate) fn new(target: Target, follows_region: bool) -> Self {
        Self {
            home: RwLock::new(Arc::new(target)),
            follows_region,
            skew: AtomicI64::new(0),
            expects: AtomicBool::new(true),
            tells_length: AtomicBool::new(false),
        }
    }

    pub(crate) fn home(&self) -> Arc<Target> {
        let home = self.home.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&home)
    }

    pub(crate) fn start(&self) -> Course {
        Course {
            target: self.home(),
            sent_to: None,
            keys: None,
            waited: false,
            told_length: false,
            skew: 0,
            hops: 0,
            renewed: false,
            set_clock: false,
        }
    }

    /// The time for a signature.
    pub(crate) fn now(&self) -> SystemTime {
        shifted(self.skew.load(Ordering::Relaxed))
    }

    /// The same for an attempt, which remembers by which clock it was signed.
    pub(crate) fn now_for(&self, course: &mut Course) -> SystemTime {
        course.skew = self.skew.load(Ordering::Relaxed);
        shifted(course.skew)
    }

    /// Changes `course`, or what all requests go by, as the refusal asks. Whether it did: the
    /// request is then sent again at once.
    pub(crate) fn adapt(
        &self,
        course: &mut Course,
        refusal: &Refusal,
        method: &Method,
        credentials: Option<&SharedCredentials>,
    ) -> bool {
        if refusal.code == "ExpiredToken" {
            let keys = course.keys.as_ref().filter(|_| !course.renewed);
            course.renewed = true;
            return match (credentials, keys) {
                (Some(credentials), Some(keys)) => credentials.invalidate(keys),
                _ => false,
            };
        }
        match refusal.status {
            StatusCode::EXPECTATION_FAILED => {
                self.expects.store(false, Ordering::Relaxed);
                course.waited
            }
            StatusCode::LENGTH_REQUIRED => {
                self.tells_length.store(true, Ordering::Relaxed);
                !course.told_length
            }
            _ => {
                self.set_clock(course, refusal)
                    || self.redirect(course, refusal, method)
                    || self.change_region(course, refusal)
            }
        }
    }

    fn set_clock(&self, course: &mut Course, refusal: &Refusal) -> bool {
        let silent = refusal.status == StatusCode::FORBIDDEN && !refusal.has_body;
        let Some(date) = refusal.date.filter(|_| !course.set_clock) else {
            return false;
        };
        let off = |other: SystemTime| date.duration_since(other).unwrap_or_else(|e| e.duration());
        let told = refusal.code == "RequestTimeTooSkewed";
        if !(told || silent) || off(shifted(course.skew)) < SKEW {
            return false;
        }
        course.set_clock = true;
        let secs = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(_) => 0,
        };
        let skew = secs(date).saturating_sub(secs(SystemTime::now()));
        self.skew.store(skew, Ordering::Relaxed);
        true
    }

    fn redirect(&self, course: &mut Course, refusal: &Refusal, method: &Method) -> bool {
        let reading = matches!(*method, Method::GET | Method::HEAD);
        let code = refusal.status.as_u16();
        // The older codes may mean another method for requests that write.
        if !(matches!(code, 307 | 308) || reading && matches!(code, 301 | 302)) {
            return false;
        }
        let (Some(from), true) = (&course.sent_to, course.hops < MAX_HOPS) else {
            return false;
        };
        let to = match (&refusal.location, &refusal.endpoint) {
            (Some(location), _) => location.clone(),
            (None, Some(_)) if refusal.region.is_some() => return false,
            (None, Some(host)) => {
                let path = from.path_and_query().map_or("/", |path| path.as_str());
                format!("{}://{host}{path}", from.scheme_str().unwrap_or("https"))
            }
            (None, None) => return false,
        };
        let Some((url, region)) = course.target.endpoint.redirect(from, &to) else {
            return false;
        };
        let region = match (&refusal.region, region) {
            (Some(named), _) => named.clone(),
            (None, Some(of_host)) => of_host,
            (None, None) => course.target.region.clone(),
        };
        course.hops += 1;
        course.target = Arc::new(Target {
            endpoint: course.target.endpoint.clone(),
            region,
            url: Some(url),
        });
        true
    }

    fn change_region(&self, course: &mut Course, refusal: &Refusal) -> bool {
        let Some(region) = refusal
            .region
            .as_ref()
            .filter(|_| self.follows_region && course.hops < MAX_HOPS)
        else {
            return false;
        };
        let asks = refusal.status.is_redirection()
            || matches!(
                refusal.status,
                StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN
            );
        if !asks || *region == course.target.region {
            return false;
        }
        let Some(endpoint) = self.home().endpoint.in_region(region) else {
            return false;
        };
        course.hops += 1;
        course.target = Arc::new(Target {
            endpoint,
            region: region.clone(),
            url: None,
        });
        *self.home.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&course.target);
        true
    }
}

/// This machine's clock, shifted by `skew` seconds.
fn shifted(skew: i64) -> SystemTime {
    let now = SystemTime::now();
    let by = Duration::from_secs(skew.unsigned_abs());
    let shifted = if skew < 0 {
        now.checked_sub(by)
    } else {
        now.checked_add(by)
    };
    shifted.unwrap_or(now)
}
