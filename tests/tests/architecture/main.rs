//! The rules of the house, held by tests: who may know whom, where each package belongs, what lies
//! where. A failure says what to do.

mod house;
mod layers;
mod packages;
mod source;
