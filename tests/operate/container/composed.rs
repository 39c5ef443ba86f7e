//! The shipped composition, brought up by the tool it is written for, with servers of the versions that
//! Debian has.

use super::engine::{Engine, HERE, ROOM, import};
use crate::booted::machine::Machine;
use crate::booted::page::commands;
use crate::booted::service::shipped;

/// What the composition's servers are, and what of their images' habits it relies on.
const SERVERS: [&str; 7] = [
    "bash",
    "util-linux",
    "tzdata",
    "postgresql-15",
    "postgresql-client-15",
    "redis-server",
    "redis-tools",
];
const POSTGRES: &str = "FROM servers
COPY entry /usr/local/bin/entry
ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/sbin:/usr/bin:/bin
RUN useradd --uid 999 --home-dir /var/lib/postgresql postgres && install -d -o postgres /run/postgresql
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT [\"entry\"]
CMD [\"postgres\", \"-c\", \"listen_addresses=*\"]
";
const ENTRY: &str = r#"#!/bin/bash
set -eu
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -m 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    initdb --locale=C --encoding=UTF8 -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \
        --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
fi
exec "$@"
"#;
const REDIS: &str = "FROM servers
VOLUME /data
WORKDIR /data
COPY entry /usr/local/bin/entry
ENTRYPOINT [\"entry\"]
CMD [\"redis-server\"]
";
/// Without a configuration Redis answers its own machine alone; the official image's does not mind.
const OPEN: &str = "#!/bin/sh
exec \"$@\" --protected-mode no
";
/// The exchange, where alone credentials may go without TLS.
const OVERRIDE: &str = "services:
  vigia:
    environment:
      LN_MARKETS_API_URL: http://127.0.0.1:8444
      LN_MARKETS_STREAM_URL: ws://127.0.0.1:8444
  exchange:
    image: vigia
    network_mode: service:vigia
    command: [simulator, --account, \"k:s:p:100000000\"]
";
/// The page's command is another tool's name for this one. The image is there already; a single
/// container is run by podman itself, with what it asks for on its standard input.
const DOCKER: &str = r#"#!/bin/bash
set -eu
[ "$1" = compose ] || exit 1
shift
export DOCKER_HOST=unix:///run/podman.sock COMPOSE_INTERACTIVE_NO_CLI=1
secret=/run/secrets/database_password
case "$*" in
    build) ;;
    "run --rm vigia "*)
        docker-compose up -d postgres redis
        until podman healthcheck run vigia_postgres_1; do sleep 0.2; done
        shift 3
        [ "$1" = key ] || set -- "$@" --credentials-stdin
        printf 'k\ns\np\n' | podman run --rm --interactive --read-only --network vigia_default \
            --volume vigia_vigia:/data --volume "$PWD/secrets/database_password:$secret:ro" \
            --env DATABASE_URL=postgres://vigia@postgres/vigia \
            --env DATABASE_PASSWORD_FILE="$secret" vigia "$@"
        ;;
    *) exec docker-compose "$@" ;;
esac
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: builds images of servers"]
async fn the_composition_comes_up_by_the_commands_of_the_page_and_trades_on_its_servers() {
    let Some(machine) = Machine::apart() else {
        return;
    };
    let needed = ["podman", "runc", "docker-compose", "psql", "redis-server"];
    let Some(engine) = Engine::on(machine, String::new(), &needed) else {
        return;
    };
    let machine = &engine.machine;
    import(machine, "servers", &SERVERS);
    for (image, name, text, entry) in [
        ("postgres:15-bookworm", "postgres", POSTGRES, ENTRY),
        ("redis:7-bookworm", "redis", REDIS, OPEN),
    ] {
        let folder = format!("{ROOM}/{name}");
        machine.write(&format!("{folder}/Dockerfile"), 0o644, text);
        machine.write(&format!("{folder}/entry"), 0o755, entry);
        machine.run(&format!(
            "podman build --pull=never --network=host --format docker --tag {image} {folder}"
        ));
        let wanted = format!("image: {image}");
        assert!(shipped("compose.yaml").contains(&wanted), "{image}");
    }
    machine.write(
        &format!("{HERE}/compose.yaml"),
        0o644,
        shipped("compose.yaml"),
    );
    machine.write(&format!("{HERE}/compose.override.yaml"), 0o644, OVERRIDE);
    machine.write("/srv/stand-ins/docker", 0o755, DOCKER);
    machine.run("systemd-run --unit engine podman system service --time=0 unix:///run/podman.sock");
    machine.until("test -S /run/podman.sock && echo there", |told| {
        told == "there"
    });

    let page = commands(&shipped("docs/operating.md"), "### Container");
    for command in page.lines() {
        machine.run(&format!("PATH=/srv/stand-ins:$PATH; cd {HERE}; {command}"));
    }
    let composed =
        |command: &str| format!("PATH=/srv/stand-ins:$PATH; cd {HERE}; docker compose {command}");
    let health = composed("exec -T vigia vigia health --ready");
    machine.until(&format!("{health} && echo well"), |told| {
        told.ends_with("well")
    });
    let well = machine.run(&composed("exec -T vigia vigia health"));
    assert!(well.contains("jobs: connected"), "{well}");
    let accounts = "exec -T postgres psql -U vigia -d vigia -Atc 'SELECT count(*) FROM vigia.user_exchange_accounts'";
    assert_eq!(machine.run(&composed(accounts)).trim(), "1");
    let clients = machine.run(&composed("exec -T redis redis-cli client list"));
    assert!(clients.lines().count() > 1, "nobody but us: {clients}");
    let password = machine.run(&format!("cat {HERE}/secrets/database_password"));
    let shown = machine.run("podman inspect $(podman ps --quiet --all)");
    assert!(
        !shown.contains(password.trim()),
        "the password is no environment"
    );
    machine.run(&composed("stop"));
    let codes = machine
        .run("podman inspect --format '{{.Name}} {{.State.ExitCode}}' $(podman ps --quiet --all)");
    println!(
        "the composition's ends: {}",
        codes.trim().replace('\n', ", ")
    );
    let of_vigia = codes.lines().find(|line| line.contains("vigia_vigia"));
    assert!(of_vigia.is_some_and(|line| line.ends_with(" 0")), "{codes}");
}
