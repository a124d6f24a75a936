//! Tests: micro.
