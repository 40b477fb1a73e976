//! A proxy that misbehaves: its connection ends, and the launcher and all others go on.

use crate::support::plans::{Home, plan, shell};
use crate::support::proxy::Proxy;
use crate::support::running::{Launcher, everyone};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use only1mcp_wire::{Exit, Reply, Request};
use std::fs::File;
use std::io::{IoSlice, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// Whether the launcher closes the connection after this, and serves the next one.
fn closes(launcher: &Launcher, misbehave: impl FnOnce(&mut Proxy)) {
    let mut proxy = Proxy::connect(&launcher.socket(), launcher.uid);
    misbehave(&mut proxy);
    while proxy.receive().is_some() {}
    drop(proxy);
    assert_eq!(launcher.proxy().run("good").1, Exit::Status(0));
}

#[test]
fn whatever_is_no_request_ends_the_connection_and_not_the_launcher() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("good", "exit 0")]));
        let hello = Request::Hello.to_packet(1);
        closes(&launcher, |proxy| proxy.send(b"GET / HTTP/1.1\r\n\r\n"));
        closes(&launcher, |proxy| proxy.send(&hello[..hello.len() - 1]));
        closes(&launcher, |proxy| proxy.send(&[hello.as_slice(), b"x"].concat()));
        closes(&launcher, |proxy| proxy.send(&[0; 5000]));
        closes(&launcher, |proxy| proxy.send(&[0xff; 4096]));
        closes(&launcher, |proxy| proxy.send(&Request::View.to_packet(1)));
        closes(&launcher, |proxy| {
            proxy.send(&hello);
            proxy.send(&hello);
        });
        assert!(launcher.log().contains("closed a connection: the proxy sent no request"));
        assert!(launcher.log().contains("the proxy asked HELLO twice"));
    }
}

#[test]
fn descriptors_are_not_taken() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("good", "exit 0")]));
        let other = launcher.proxy();
        let before = launcher.descriptors();
        drop(other);
        let proxy = Proxy::connect(&launcher.socket(), launcher.uid);
        let file = File::open("/etc/passwd").unwrap();
        let packet = Request::Hello.to_packet(1);
        let rights = [file.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&rights)];
        let sent = sendmsg::<()>(
            proxy.socket.as_raw_fd(),
            &[IoSlice::new(&packet)],
            &control,
            MsgFlags::empty(),
            None,
        );
        // Either the kernel refuses to send them, or the launcher hangs up.
        match sent {
            Err(errno) => assert_eq!(errno, nix::errno::Errno::EPERM),
            Ok(_) => assert!(proxy.receive().is_none()),
        }
        drop(proxy);
        let mut other = launcher.proxy();
        assert_eq!(other.run("good").1, Exit::Status(0));
        assert_eq!(launcher.descriptors(), before, "{who:?}");
    }
}

#[test]
fn a_second_proxy_is_sent_away_and_the_first_stays() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut first = launcher.proxy();
        let mut server = first.spawn("echo").unwrap();
        let second = Proxy::connect(&launcher.socket(), launcher.uid);
        second.send(&Request::Hello.to_packet(1));
        assert!(second.receive().is_none());
        server.say("still here");
        assert_eq!(server.hear(), "still here");
    }
}

#[test]
fn a_stranger_is_sent_away() {
    for who in everyone() {
        if !nix::unistd::geteuid().is_root() {
            continue;
        }
        let launcher = Launcher::start(who, Home::new(Vec::new()));
        let stranger = Proxy::connect(&launcher.socket(), 12_345);
        stranger.send(&Request::Hello.to_packet(1));
        match launcher.uid {
            // In root mode all uids but the launcher's own look alike; there the socket's mode decides.
            0 => assert!(stranger.receive().is_some()),
            _ => assert!(stranger.receive().is_none()),
        }
    }
}

#[test]
fn the_view_comes_sealed() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("good", "exit 0")]));
        let (reply, descriptors) = launcher.proxy().ask(&Request::View);
        assert_eq!(reply, Reply::View { generation: 1 });
        let mut view = File::from(descriptors.into_iter().next().unwrap());
        let mut text = String::new();
        view.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"view\":1}");
        view.rewind().unwrap();
        assert_eq!(view.write_all(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(view.set_len(0).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}

#[test]
fn names_come_in_pages() {
    for who in everyone() {
        let many = (0..70).map(|number| shell(&format!("s{number:02}"), "exit 0")).collect();
        let launcher = Launcher::start(who, Home::new(many));
        let mut proxy = launcher.proxy();
        let mut names = Vec::new();
        let mut page = Some(0);
        while let Some(number) = page {
            match proxy.ask(&Request::List { page: number }).0 {
                Reply::List { names: more, next } => {
                    names.extend(more);
                    page = next;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(names.len(), 70);
        assert!(names.is_sorted());
    }
}

#[test]
fn the_launcher_is_never_dumpable() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let owner = || std::fs::metadata(format!("/proc/{}/environ", launcher.process.id())).unwrap().uid();
        // Its files under /proc belong to root although it does not run as root.
        assert_eq!(owner(), 0, "{who:?}");
        let server = proxy.spawn("echo").unwrap();
        assert_eq!(owner(), 0, "{who:?}");
        // So do those of PID 1 inside, while the server itself belongs to its own uid.
        let init = server.spawned.pid;
        assert_eq!(std::fs::metadata(format!("/proc/{init}/environ")).unwrap().uid(), 0);
    }
}
