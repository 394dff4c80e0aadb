//! The collector on a real kube-apiserver: what it reads, publishes, attaches, may do, and leaves behind.
//!
//! The collector runs beside the lab, with a kubeconfig. Nothing runs beside a scenario: every collector publishes
//! for the whole cluster.

mod attach;
mod chart;
mod check;
mod cluster_domain;
mod inventory;
mod process;
mod publish;
mod rights;
mod steps;
mod uninstall;
