//! Behind the proxy of docker-compose.yml, as it is configured there: pages, changes, and streams that come at once.

use crate::support::*;
use conductor_tests::process::{Program, Running};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{tools, workspace};
use serde_json::json;
use std::net::TcpListener;

/// nginx with the configuration of the service `frontend`, before a server of the sandbox.
struct Proxy {
    address: String,
    _nginx: Running,
}

impl Proxy {
    fn start(sandbox: &Sandbox, server: &Server) -> Option<Proxy> {
        let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(std::path::PathBuf::from);
        let Some(nginx) = nginx.into_iter().find(|path| path.is_file()) else {
            tools::skip("no nginx (Debian: apt install nginx-light)");
            return None;
        };
        let folder = sandbox.folder("nginx");
        // An address of this process alone: nobody else takes a port of it meanwhile.
        let [_, b, c, d] = std::process::id().to_be_bytes();
        let own = std::net::Ipv4Addr::new(127, 128 | b, c, d);
        let address = TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().to_string();
        // Only where it listens, where the server is and where the pages are is this test's own.
        let mut site = template();
        for (name, value) in [
            ("FRONTEND_LISTEN", address.as_str()),
            ("CONDUCTOR_SERVER", &server.address),
            ("FRONTEND_FILES", workspace().join("run-agent/ui").to_str().unwrap()),
        ] {
            site = site.replace(&format!("${{{name}}}"), value);
        }
        std::fs::write(folder.join("site.conf"), site).unwrap();
        let here = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;\n\
             events {{}}\nhttp {{\n  access_log off; client_body_temp_path {here}/body;\n  \
             proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;\n  \
             uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n  \
             include {here}/site.conf;\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let nginx = Program::new(&nginx).arg("-c").arg(folder.join("nginx.conf"));
        let nginx = nginx.arg("-p").arg(&folder).start();
        let deadline = std::time::Instant::now() + LONG;
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(std::time::Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(Proxy { address, _nginx: nginx })
    }
}

fn template() -> String {
    let path = workspace().join("run-agent/ui/frontend.conf.template");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn pages_changes_and_streams_come_through_at_once() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::with_token(&sandbox);
    let Some(proxy) = Proxy::start(&sandbox, &server) else { return };
    let mut through = Server::with_token(&sandbox);
    through.address.clone_from(&proxy.address);
    assert!(through.get("/ui/").expect(200).text.contains("<title>conductor"));
    assert_eq!(through.get("/healthz").expect(200).json()["status"], "ok");
    assert_eq!(through.json("/api/projects/shop")["id"], "shop");
    // A page may only call the address that it came from.
    let own = format!("http://{}", proxy.address);
    through.get_with("/api/v1/tasks", &[("origin", &own)]).expect(200);
    through.get_with("/api/v1/tasks", &[("origin", "http://evil.example")]).expect(403);
    // While the stream is open each message is there before the next one is posted.
    let mut events = through.follow("/api/projects/shop/messages/stream", None);
    for number in 0..5 {
        let body = format!("number {number}");
        through.post("/api/projects/shop/messages", &json!({"body": body})).expect(201);
        let told = events.find(|event| event.name == "message" && event.json()["body"] == body);
        assert!(told.is_some());
    }
}

#[test]
fn the_compose_file_says_what_the_dockerfile_and_the_proxy_say() {
    let read = |name: &str| std::fs::read_to_string(workspace().join(name)).unwrap();
    let (compose, dockerfile) = (read("docker-compose.yml"), read("Dockerfile"));
    for variable in
        ["CONDUCTOR_IMAGE", "CONDUCTOR_HOST_PORT", "CONDUCTOR_DATA_DIR", "CONDUCTOR_CONFIG_PATH"]
    {
        assert!(compose.contains(&format!("${{{variable}:-")), "{variable}");
        assert!(read("docs/DEPLOYMENT.md").contains(&format!("`{variable}`")), "{variable}");
    }
    assert!(dockerfile.contains("EXPOSE 14355") && compose.contains(":14355\""));
    for folder in ["/data/runs", "/data/config"] {
        assert!(compose.contains(&format!(":{folder}\n")) && dockerfile.contains(folder));
    }
    let ports = compose.lines().filter(|line| line.trim_start().starts_with("- \"")).count();
    assert_eq!(compose.matches("- \"127.0.0.1:").count(), ports, "no port is open to others");
    // What is mounted is there, and what it asks for is given.
    assert!(compose.contains("./run-agent/ui/frontend.conf.template:"));
    for name in ["FRONTEND_LISTEN", "FRONTEND_FILES", "CONDUCTOR_SERVER"] {
        assert!(template().contains(&format!("${{{name}}}")), "{name}");
        assert!(compose.contains(&format!("      {name}: ")), "{name}");
    }
    // The name of the service is one that the server in the image answers to.
    assert!(compose.contains("CONDUCTOR_SERVER: conductor:14355"));
    assert!(dockerfile.contains("allowed_hosts: [conductor]"));
}
