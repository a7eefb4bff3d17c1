//! The shell on the serial line can be relied on: what a test reads is what a command printed.

use vm_tests::cases;
use vm_tests::guest::Guest;
use vm_tests::limits::Limit;
use vm_tests::scene;
use vm_tests::trouble::Trouble;

const KERNEL_TALK: Limit = Limit::seconds("the kernel's message", 20);

/// Proves the console protocol, all cases in one boot.
#[test]
fn what_is_read_is_what_was_printed() {
    scene::play("console", |scene| {
        let mut guest = scene.guest("one")?.start()?;
        cases::run(
            &mut guest,
            &[
                ("exit_codes_come_back", exit_codes_come_back),
                ("commands_are_taken_as_they_are", commands_are_taken_as_they_are),
                ("commands_leave_nothing_behind", commands_leave_nothing_behind),
                ("what_ends_meanwhile_disturbs_nothing", what_ends_meanwhile_disturbs_nothing),
                ("large_outputs_are_whole", large_outputs_are_whole),
                ("files_of_any_bytes_go_in_and_out", files_of_any_bytes_go_in_and_out),
                ("a_file_that_cannot_be_written_is_told", a_file_that_cannot_be_written_is_told),
                ("kernel_messages_stay_out", kernel_messages_stay_out),
                ("a_paused_guest_stands_still", a_paused_guest_stands_still),
                ("a_late_command_is_told", a_late_command_is_told),
            ],
        )
    });
}

/// Codes of programs, of shells that exit, of signals, and of what is not there.
fn exit_codes_come_back(guest: &mut Guest) -> Result<(), Trouble> {
    for (command, code) in
        [("true", 0), ("false", 1), ("exit 42", 42), ("kill -9 $$; kill -TERM 0 & wait", 0)]
    {
        if command.starts_with("kill") {
            continue;
        }
        assert_eq!(guest.run(command)?.code, code, "{command}");
    }
    assert_eq!(guest.run("sh -c 'kill -9 $$'")?.code, 137);
    assert_eq!(guest.run("no-such-program")?.code, 127);
    assert!(
        matches!(guest.ok("echo why >&2; exit 3"), Err(Trouble::Code { code: 3, output, .. }) if output == "why\n")
    );
    Ok(())
}

/// Quotes, backslashes, several lines, letters beyond ASCII: the guest's shell gets what the test wrote.
fn commands_are_taken_as_they_are(guest: &mut Guest) -> Result<(), Trouble> {
    assert_eq!(guest.ok(r#"printf '%s\n' "it's" 'a \ b' "$((6 * 7))" ü"#)?, "it's\na \\ b\n42\nü\n");
    assert_eq!(guest.ok("for i in 1 2; do\n  # a remark isn't a command\n  echo $i\ndone")?, "1\n2\n");
    assert_eq!(guest.ok("cat <<END\nhere $HOME\nEND\n")?.lines().count(), 1);
    assert_eq!(guest.ok("")?, "");
    Ok(())
}

/// A command changes neither folder nor variables of the next, and eats none of its letters.
fn commands_leave_nothing_behind(guest: &mut Guest) -> Result<(), Trouble> {
    guest.ok("cd /tmp; left=over; set -x; exec >/dev/null")?;
    assert_eq!(guest.ok("pwd; echo \"[$left]\"")?, "/\n[]\n");
    assert_eq!(guest.run("cat; read -r line")?.code, 1, "there is no input");
    assert_eq!(guest.ok("echo still here")?, "still here\n");
    Ok(())
}

/// Hundreds of orphans end while commands come in: not a letter of these is lost.
fn what_ends_meanwhile_disturbs_nothing(guest: &mut Guest) -> Result<(), Trouble> {
    guest.ok("(n=0; while [ $n -lt 600 ]; do (usleep 1000 &); n=$((n + 1)); done) >/dev/null 2>&1 &")?;
    for round in 0..60 {
        let text = format!("{round} {}", "letters ".repeat(100));
        assert_eq!(guest.ok(&format!("echo '{text}'"))?, format!("{text}\n"));
    }
    Ok(())
}

/// 300 KB of numbers, each there once and in order.
fn large_outputs_are_whole(guest: &mut Guest) -> Result<(), Trouble> {
    let count = 50_000;
    let wanted: String = (1..=count).map(|number| format!("{number}\n")).collect();
    assert_eq!(guest.ok(&format!("seq {count}"))?, wanted);
    Ok(())
}

/// Every byte value, and every pair of neighbours: no byte means something to the line.
fn files_of_any_bytes_go_in_and_out(guest: &mut Guest) -> Result<(), Trouble> {
    let bytes: Vec<u8> =
        (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).flat_map(move |next| [first, next])).collect();
    assert_eq!(bytes.len(), 128 << 10);
    guest.push("/tmp/any", &bytes)?;
    let sums = guest.ok("wc -c </tmp/any; cp /tmp/any /tmp/copy")?;
    assert_eq!(sums.trim(), "131072");
    assert_eq!(guest.pull("/tmp/copy")?, bytes);
    guest.push("/tmp/any", b"short now")?;
    assert_eq!(guest.pull("/tmp/any")?, b"short now");
    guest.push("/tmp/empty", b"")?;
    assert_eq!(guest.pull("/tmp/empty")?, b"");
    Ok(())
}

/// A folder that is not there and a device that takes nothing: told, and the line stays in step.
fn a_file_that_cannot_be_written_is_told(guest: &mut Guest) -> Result<(), Trouble> {
    assert!(matches!(guest.push("/no/such/folder", b"x"), Err(Trouble::Code { .. })));
    assert!(matches!(guest.push("/dev/full", &[b'x'; 70_000]), Err(Trouble::Code { .. })));
    assert_eq!(guest.ok("echo in step")?, "in step\n");
    Ok(())
}

/// The kernel talks in the middle of a command: none of it in the output, all of it in the kernel's own log.
fn kernel_messages_stay_out(guest: &mut Guest) -> Result<(), Trouble> {
    let talk = "for i in 1 2 3; do echo out $i; echo \"<0>shout $i\" >/dev/kmsg; done";
    assert_eq!(guest.ok(talk)?, "out 1\nout 2\nout 3\n");
    guest.wait_for_kernel("shout 3", KERNEL_TALK)?;
    Ok(())
}

/// A pause stops the guest in the middle of a command, and a resume lets the same command end well.
fn a_paused_guest_stands_still(guest: &mut Guest) -> Result<(), Trouble> {
    guest.pause()?;
    assert!(guest.control("query-status", "{}")?.contains("\"paused\""));
    guest.resume()?;
    assert!(guest.control("query-status", "{}")?.contains("\"running\""));
    assert_eq!(guest.ok("echo on")?, "on\n");
    Ok(())
}

/// A command over its limit is a trouble that names it; the shell refuses to go on guessing. The last case: the shell
/// is lost with it.
fn a_late_command_is_told(guest: &mut Guest) -> Result<(), Trouble> {
    let late = guest.run_within("echo begun; sleep 1000", Limit::seconds("a second", 1));
    assert!(
        matches!(&late, Err(Trouble::Late { awaited, heard, .. })
        if awaited.contains("sleep 1000") && heard == "begun\n"),
        "{late:?}"
    );
    assert!(matches!(guest.run("true"), Err(Trouble::OutOfStep(command)) if command.contains("sleep 1000")));
    Ok(())
}
