//! Which requests are let in: those to a host that is this one's, and no writes from pages of
//! other sites.

mod cross_site;
mod host;
mod local_address;
mod rules;

pub use local_address::LocalAddress;
pub use rules::AccessRules;
