//! The store on a server of PostgreSQL: what it alone has.

mod connecting;
mod leases;
mod outages;

use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use super::testing::{Fixture, at};
use super::tests::new_account;
use super::*;
