//! Tests of the parts and of crashes.
