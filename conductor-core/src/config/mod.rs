//! The configuration: YAML and HCL files as one typed model.
//!
//! One table of keys (`model`) says what there is. A file is read by it (`read`), what no single key can
//! get wrong is looked at (`check`), what the environment says is put over it (`variables`), and the
//! result is a [`LoadedConfig`]. A file that cannot be used is refused as a whole, with the place of
//! everything that is wrong in it ([`Rejected`]).
//!
//! This layer looks at no environment and at no home folder: both are handed in.

mod check;
mod document;
mod find;
mod given;
mod hcl;
mod kind;
mod load;
mod model;
mod problem;
mod read;
mod schema;
mod secret;
mod show;
mod take;
#[cfg(test)]
mod tests;
mod token;
mod variables;

pub use document::{config_reference, config_schema, config_template};
pub use find::{ConfigOrigin, ConfigPlace, ConfigSources, ConfigUse};
pub(crate) use load::read_limits;
pub use load::{LoadedConfig, Origin, Rejected};
pub use model::{
    Agent, Api, BusSettings, Config, Defaults, Diversification, Gc, Limits, Log, Monitor, Sse,
    Storage, Update, Webhook,
};
pub use problem::{Problem, Severity};
pub use secret::Secret;
pub use show::ConfigValue;
pub(crate) use token::is_secret_name;
pub use variables::Variables;
pub(crate) use variables::token_variable;
