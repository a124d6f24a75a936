//! Pause, resume, reset and kill of a guest that never stops by itself.

use micro::{Vm, elf, guest};
use vmm_api::{ClientError, ErrorCode, ExitReason, VmState};

guest!(
    dots,
    "lea rsi, [rip + 2f]",
    "call micro_puts",
    "1: mov al, 0x2e",
    "call micro_putc",
    "jmp 1b",
    "2: .asciz \"start\\n\"",
);

guest!(
    halted,
    "lea rsi, [rip + 2f]",
    "call micro_puts",
    "cli",
    "1: hlt",
    "jmp 1b",
    "2: .asciz \"halted\\n\"",
);

#[test]
fn a_paused_guest_prints_nothing() {
    let Some(mut vm) = Vm::start(&elf(dots()), &[]) else { return };
    vm.wait_for("start\n.", 1);
    vm.ask(async |client| {
        for _ in 0..5 {
            assert_eq!(client.pause().await.unwrap().state, VmState::Paused);
            let end = |history: vmm_api::ConsoleHistory| history.offset + history.bytes.len() as u64;
            let before = end(client.console(None).await.unwrap());
            for _ in 0..50 {
                assert_eq!(end(client.console(None).await.unwrap()), before);
            }
            assert_eq!(client.pause().await.unwrap().state, VmState::Paused, "pausing twice is pausing");
            assert_eq!(client.resume().await.unwrap().state, VmState::Running);
            while end(client.console(None).await.unwrap()) == before {}
        }
    });
}

#[test]
fn a_halted_or_busy_guest_is_reset_and_killed() {
    for (name, kernel) in [("start", elf(dots())), ("halted", elf(halted()))] {
        let Some(mut vm) = Vm::start(&kernel, &["--vcpus", "2"]) else { return };
        vm.wait_for(name, 1);
        let info = vm.ask(async |client| client.reset().await.unwrap());
        assert_eq!((info.state, info.boots), (VmState::Running, 2));
        vm.wait_for(name, 2);
        vm.ask(async |client| client.pause().await.unwrap());
        let info = vm.ask(async |client| client.reset().await.unwrap());
        assert_eq!(
            (info.state, info.boots),
            (VmState::Running, 3),
            "a reset ends a pause, as the button would"
        );
        vm.wait_for(name, 3);
        let info = vm.ask(async |client| client.kill().await.unwrap());
        assert_eq!(info.exit.unwrap().reason, ExitReason::Killed);
        let finished = vm.finish();
        assert!(finished.stderr.contains("killed") && !finished.success, "{}", finished.stderr);
    }
}

#[test]
fn a_second_boot_is_refused_and_changes_nothing() {
    let Some(mut vm) = Vm::start(&elf(halted()), &[]) else { return };
    vm.wait_for("halted", 1);
    let (refused, info) = vm.ask(async |client| (client.boot().await, client.info().await.unwrap()));
    match refused {
        Err(ClientError::Refused(error)) => assert_eq!(error.code, ErrorCode::WrongState),
        other => panic!("{other:?}"),
    }
    assert_eq!((info.state, info.boots), (VmState::Running, 1));
}
