//! lazymesh.
