//! What lazymesh does on a real mesh, one behaviour a module. All share one lab, which takes root.

mod asking;
mod busy;
mod control_plane;
mod discovery_selectors;
mod dns_capture;
mod egress_gateway;
mod enabling;
mod failures;
mod first_request;
mod grpc;
mod identities;
mod jobs;
mod lazy;
mod leaving;
mod leftovers;
mod mtls;
mod names;
mod neighbours;
mod outside;
mod registry_down;
mod revisions;
mod scale;
mod tcp;
mod user_sidecars;
mod virtual_service;
