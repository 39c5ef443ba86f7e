//! Places where tests make an actor panic or the process die. Without the feature `failpoints`
//! nothing of this is compiled in.

/// Passes a named place on behalf of a key (an account, an execution). In test builds it panics or
/// kills the process if it was told to by `set` or by `VIGIA_FAILPOINT=place=panic|kill`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_place: &str, _key: &str) {}

#[cfg(feature = "failpoints")]
pub use armed::{Crash, Deed, Place, clear, pass, set};

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
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    use actix::prelude::*;

    /// What happens at a place.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Deed {
        /// So many passes panic.
        Panic(u32),
        /// The process dies as by SIGKILL.
        Kill,
    }

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

    type Key = (String, Option<String>);

    static DEEDS: LazyLock<Mutex<HashMap<Key, Deed>>> = LazyLock::new(|| {
        let mut deeds = HashMap::new();
        if let Some((place, deed)) = std::env::var("VIGIA_FAILPOINT")
            .ok()
            .as_deref()
            .and_then(|value| value.split_once('='))
        {
            let deed = if deed == "kill" {
                Deed::Kill
            } else {
                Deed::Panic(1)
            };
            deeds.insert((place.to_owned(), None), deed);
        }
        Mutex::new(deeds)
    });

    fn deeds() -> std::sync::MutexGuard<'static, HashMap<Key, Deed>> {
        DEEDS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this happens at a place; for one key only, if one is given.
    pub fn set(place: &str, key: Option<&str>, deed: Deed) {
        deeds().insert((place.to_owned(), key.map(str::to_owned)), deed);
    }

    /// Nothing happens at any place any more.
    pub fn clear() {
        deeds().clear();
    }

    /// Passes a place.
    #[allow(clippy::panic)] // its purpose
    pub fn pass(place: &str, key: &str) {
        let deed = {
            let mut deeds = deeds();
            let keys = [
                (place.to_owned(), Some(key.to_owned())),
                (place.to_owned(), None),
            ];
            let Some(key) = keys.into_iter().find(|key| deeds.contains_key(key)) else {
                return;
            };
            let deed = deeds.remove(&key);
            if let Some(Deed::Panic(left)) = deed
                && left > 1
            {
                deeds.insert(key, Deed::Panic(left - 1));
            }
            deed
        };
        match deed {
            Some(Deed::Panic(_)) => panic!("failpoint: {place}"),
            Some(Deed::Kill) => {
                let _ = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
                loop {
                    std::thread::park();
                }
            }
            None => {}
        }
    }
}
