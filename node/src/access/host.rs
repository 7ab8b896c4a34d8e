//! `Host`: which names are this server's.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

/// The host that a request is for: that of its target if it has one (RFC 9112, section 3.2.2), else
/// that of its one `Host`. `None` if there is not just one `Host`, or it is none.
pub(super) fn requested(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host: Authority = host.to_str().ok()?.parse().ok()?;
    let host = uri.authority().cloned().unwrap_or(host);
    let plain = !host.as_str().contains('@') && !host.host().is_empty() && has_sound_port(&host);
    plain.then_some(host)
}

/// Whether the port is a number, or is left out.
pub(super) fn has_sound_port(authority: &Authority) -> bool {
    let after = authority.as_str().rsplit(']').next().unwrap_or_default();
    match after.rsplit_once(':') {
        Some((_, "")) | None => true,
        Some(_) => authority.port_u16().is_some(),
    }
}

/// Whether this host is the address listened on, a loopback name, or one of `names`. Ports are not
/// looked at: a page that had its name point here would have to know the port anyway.
pub(super) fn is_own(host: &Authority, local: Option<IpAddr>, names: &[String]) -> bool {
    let name = host.host().trim_end_matches('.').to_ascii_lowercase();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if names.iter().any(|own| own == "*" || *own == bare) {
        return true;
    }
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || local.is_some_and(|local| local.to_canonical() == address)
        }
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// A configured name in the form that [`is_own`] compares with.
pub(super) fn normalised(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_own_and_others() {
        let names = [normalised("Node.Example.com."), normalised("[2001:DB8::2]")];
        for (host, own) in [
            ("127.0.0.1", true),
            ("127.0.0.1:7450", true),
            ("127.9.9.9:1", true),
            ("[::1]:7450", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost", true),
            ("LOCALHOST.:80", true),
            ("a.localhost", true),
            ("192.0.2.1:7450", true),
            ("[::ffff:192.0.2.1]:7450", true),
            ("192.0.2.2:7450", false),
            ("node.example.com", true),
            ("NODE.example.com.:443", true),
            ("[2001:db8::2]:7450", true),
            ("[2001:db8::3]:7450", false),
            ("evil.node.example.com", false),
            ("node.example.com.evil.example", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("0.0.0.0", false),
        ] {
            let host: Authority = host.parse().unwrap();
            let local = Some(IpAddr::from([192, 0, 2, 1]));
            assert_eq!(is_own(&host, local, &names), own, "{host}");
            assert!(is_own(&host, None, &["*".to_owned()]), "{host}");
        }
    }

    #[test]
    fn the_host_that_a_request_is_for() {
        for (target, hosts, wanted) in [
            ("/", &["a:1"][..], Some("a:1")),
            ("/", &[], None),
            ("/", &["a", "a"], None),
            ("/", &[""], None),
            ("/", &["a b"], None),
            ("/", &["user@a"], None),
            ("/", &["a/b"], None),
            ("/", &[":80"], None),
            ("/", &["a:"], Some("a:")),
            ("/", &["a:99999"], None),
            ("/", &["a:b"], None),
            ("/", &["[::1]:7450"], Some("[::1]:7450")),
            ("/", &["[::1]"], Some("[::1]")),
            ("/", &["[::1]:99999"], None),
            ("http://b:2/", &["a"], Some("b:2")),
            ("http://b:2/", &[], None),
            ("http://u@b/", &["a"], None),
        ] {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, host.parse().unwrap());
            }
            let host = requested(&target.parse().unwrap(), &headers);
            assert_eq!(
                host.as_ref().map(Authority::as_str),
                wanted,
                "{target} {hosts:?}"
            );
        }
    }
}
