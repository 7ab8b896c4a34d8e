//! The address that a request was sent to.

use std::net::SocketAddr;

/// The address of the server's end of a connection, as an extension of requests. [`Server`] puts it
/// there, beside [`ConnectInfo`] with the address of the client's end.
///
/// ```
/// use storehouse_node::LocalAddress;
///
/// let mut request = axum::http::Request::new(());
/// request.extensions_mut().insert(LocalAddress("192.0.2.1:7450".parse().unwrap()));
/// assert_eq!(request.extensions().get::<LocalAddress>().unwrap().0.port(), 7450);
/// ```
///
/// [`ConnectInfo`]: axum::extract::ConnectInfo
/// [`Server`]: crate::Server
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress(pub SocketAddr);
