//! Crashing actors by name, for tests.

use super::*;
use crate::actors::connection::CrashAutomation;
use crate::domain::ids::AutomationId;
use crate::supervision::failpoint::{Crash, Place};

/// Crashes an actor by the name it has in logs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CrashActor(pub String, pub Place);

impl Handler<CrashActor> for Supervisor {
    type Result = ();

    fn handle(&mut self, CrashActor(actor, place): CrashActor, _: &mut Context<Self>) {
        let crash = Crash(place);
        match self.wards.get(&actor).map(|(part, _)| part) {
            Some(Part::AuditLog) => drop(self.shared.audit_log.tell(crash)),
            Some(Part::HealthReporter) => drop(self.shared.health.tell(crash)),
            Some(Part::Intake) => drop(self.shared.intake.tell(crash)),
            Some(Part::Notifier) => drop(self.shared.notifier.tell(crash)),
            Some(Part::JobDesk) => drop(self.shared.job_desk.tell(crash)),
            Some(Part::Feed(network)) => drop(self.shared.networks[network].feed.tell(crash)),
            Some(Part::Connection(id)) => {
                if let Some(child) = self.connections.get(id) {
                    child.addr().do_send(crash);
                }
            }
            None => {
                let id = AutomationId::new(actor.trim_start_matches("automation/"));
                for connection in self.connections.values() {
                    connection
                        .addr()
                        .do_send(CrashAutomation(id.clone(), place));
                }
            }
        }
    }
}
