//! vmm-api
