//! Crashes of actors, for tests. Without the feature `failpoints` nothing of this is compiled in.

#[cfg(feature = "failpoints")]
pub use crate::failpoint::{Deed, clear, set};
pub use crate::failpoint::{linger, pass};
#[cfg(feature = "failpoints")]
pub use armed::{Crash, Place};

/// Lets tests crash an actor of this type in a handler, a timer or a spawned future.
#[macro_export]
macro_rules! crashable {
    ($actor:ty) => {
        #[cfg(feature = "failpoints")]
        impl actix::Handler<$crate::supervision::failpoint::Crash> for $actor {
            type Result = ();

            fn handle(
                &mut self,
                crash: $crate::supervision::failpoint::Crash,
                context: &mut Self::Context,
            ) {
                crash.happen::<Self>(context);
            }
        }
    };
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::time::Duration;

    use actix::prelude::*;

    /// Where an actor is made to panic.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Place {
        /// In the handler of a message.
        Handler,
        /// In a timer's callback.
        Timer,
        /// In a future the actor spawned.
        Future,
    }

    /// Makes the actor that receives it panic.
    #[derive(Clone, Copy, Debug, Message)]
    #[rtype(result = "()")]
    pub struct Crash(pub Place);

    impl Crash {
        /// Panics, or arranges for it.
        #[allow(clippy::panic)] // its purpose
        pub fn happen<A: Actor<Context = Context<A>>>(self, context: &mut Context<A>) {
            match self.0 {
                Place::Handler => panic!("failpoint: handler"),
                Place::Timer => {
                    context.run_later(Duration::from_millis(1), |_, _| panic!("failpoint: timer"));
                }
                Place::Future => {
                    let future = async { panic!("failpoint: future") };
                    context.spawn(actix::fut::wrap_future(future));
                }
            }
        }
    }
}
