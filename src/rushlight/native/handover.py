"""How a job goes from one thread to the others and back, in a few microseconds: LLVM's text of it (Linux).

All state is one block of memory, in lines of 64 bytes so that threads do not disturb one another:

    gate      low 32 bits: how many workers are inside, and bit 31 while more may enter; high 32: the job's number
    sleepers  how many workers sleep;  waiting: whether the owner of the job does
    job       kernel, params, tasks, step (how many tasks are taken at once), mode (of floating point), parts (in how many the
              tasks are cut), back (whether each is gone through from its end), turned (whether the last sweep went so)
    busy      whether a job is on;  workers: how many may help;  spins: how often to look before going to sleep;
              patience: for how many nanoseconds to look, where the last job came within them;  hired: how many there are
    next      of each part, in a line of its own, how many of its tasks were taken

1. The owner takes `busy`; if another thread has it, it does its tasks alone.
2. It writes the job and opens the gate under a new number. That is what workers look at, or sleep on (futex).
3. All take tasks until there are none: each first those of a part of its own, then what others have left.
4. The owner shuts the gate. Who has not entered never will, so nobody waits for a worker that the system did not let run.
   It waits for those inside; the last one out wakes it if it went to sleep.
5. It gives up `busy`.

A thread begins where it ended the last time (`sweep`): it finds in its own cache what it used last, of which a sweep in the same
direction would lose all just before its turn. Jobs whose neighbouring tasks share what they read have one part, in order (`run`), and so have
those of few tasks.

Whoever goes to sleep first says so and then looks again (the futex call does); whoever changes what is slept on looks for
sleepers afterwards. All four accesses are sequentially consistent, so one of the two sees the other. (Drepper, "Futexes Are
Tricky", 2011.)

A program that computes one large tensor after another makes jobs tens of microseconds apart, which is as long as it takes to wake
a sleeper. So a worker whose last job came soon after the one before looks for the next longer, and between two looks lets whoever
else wants its CPU have it (sched_yield). One wait in vain, and it goes to sleep early the next time. (Karlin, Li, Manasse and
Owicki, "Empirical Studies of Competitive Spinning for a Shared-Memory Multiprocessor", 1991.) Who was asleep in between goes by the
same rule; and where waking takes longer than a job, it comes too late for that one, and looks for the next: or it would be woken in
vain for ever.

Workers compute in the owner's floating-point mode (rounding, subnormals), which they were not started with.
"""

from __future__ import annotations

import platform
import sys

__all__ = ["MOST", "PARTS", "PATIENCE", "SIZE", "SPINS", "WORKERS", "supported", "text"]

#: parts of a job at most: their lines are cleared for each
PARTS = 16

#: bytes of the state, and where the fields that Python sets are
SIZE, WORKERS, SPINS, PATIENCE = 320 + 64 * PARTS, 260, 264, 268

#: workers at most, whatever number of threads is asked for
MOST = 1023

#: number of the system call futex; a pause within a loop; how the floating-point mode is stored and loaded; declarations
_MACHINES = {
    "x86_64": (
        202,
        "call void @llvm.x86.sse2.pause()",
        "call void @llvm.x86.sse.stmxcsr(ptr %mode)",
        "call void @llvm.x86.sse.ldmxcsr(ptr %mode)",
        "declare void @llvm.x86.sse2.pause()\n"
        "declare void @llvm.x86.sse.stmxcsr(ptr)\n"
        "declare void @llvm.x86.sse.ldmxcsr(ptr)",
    ),
    "aarch64": (
        98,
        "call void @llvm.aarch64.hint(i32 1)",
        "%fpcr = call i64 @llvm.aarch64.get.fpcr()\n  store i64 %fpcr, ptr %mode",
        "%fpcr = load i64, ptr %mode\n  call void @llvm.aarch64.set.fpcr(i64 %fpcr)",
        "declare void @llvm.aarch64.hint(i32)\n"
        "declare i64 @llvm.aarch64.get.fpcr()\n"
        "declare void @llvm.aarch64.set.fpcr(i64)",
    ),
}

_TEXT = """
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)
{declarations}

; nanoseconds since some moment
define internal i64 @now() {{
entry:
  %time = alloca [2 x i64]
  %ok = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %rest.at = getelementptr i8, ptr %time, i64 8
  %rest = load i64, ptr %rest.at
  %whole = mul i64 %seconds, 1000000000
  %all = add i64 %whole, %rest
  ret i64 %all
}}

; all tasks that are left: of part `mine`, then of those after it
define internal void @work(ptr %s, i64 %mine) {{
entry:
  %kernel.at = getelementptr i8, ptr %s, i64 128
  %kernel = load ptr, ptr %kernel.at
  %params.at = getelementptr i8, ptr %s, i64 136
  %params = load ptr, ptr %params.at
  %tasks.at = getelementptr i8, ptr %s, i64 144
  %tasks = load i64, ptr %tasks.at
  %step.at = getelementptr i8, ptr %s, i64 152
  %step = load i64, ptr %step.at
  %parts.at = getelementptr i8, ptr %s, i64 168
  %parts = load i64, ptr %parts.at
  %back.at = getelementptr i8, ptr %s, i64 176
  %back.bit = load i64, ptr %back.at
  %back = icmp ne i64 %back.bit, 0
  br label %part
part:
  %left = phi i64 [%parts, %entry], [%left.less, %through]
  %turn = phi i64 [%mine, %entry], [%turn.next, %through]
  %number = urem i64 %turn, %parts
  %low.all = mul i64 %number, %tasks
  %low = udiv i64 %low.all, %parts
  %high.all = add i64 %low.all, %tasks
  %high = udiv i64 %high.all, %parts
  %count = sub i64 %high, %low
  %line = shl i64 %number, 6
  %place = add i64 %line, 320
  %next = getelementptr i8, ptr %s, i64 %place
  br label %take
take:
  %begin = atomicrmw add ptr %next, i64 %step monotonic
  %any = icmp slt i64 %begin, %count
  br i1 %any, label %do, label %through
do:
  %after = add i64 %begin, %step
  %end = call i64 @llvm.smin.i64(i64 %after, i64 %count)
  %first.up = add i64 %low, %begin
  %last.up = add i64 %low, %end
  %first.back = sub i64 %high, %end
  %last.back = sub i64 %high, %begin
  %first = select i1 %back, i64 %first.back, i64 %first.up
  %last = select i1 %back, i64 %last.back, i64 %last.up
  call void %kernel(ptr %params, i64 %first, i64 %last)
  br label %take
through:
  %turn.next = add i64 %turn, 1
  %left.less = sub i64 %left, 1
  %more = icmp ne i64 %left.less, 0
  br i1 %more, label %part, label %done
done:
  ret void
}}

; a job in one part, from the first task to the last
define void @run(ptr %s, ptr %kernel, ptr %params, i64 %tasks) {{
entry:
  call void @own(ptr %s, ptr %kernel, ptr %params, i64 %tasks, i32 1)
  ret void
}}

; a job in a part for each thread, from one end or the other
define void @sweep(ptr %s, ptr %kernel, ptr %params, i64 %tasks) {{
entry:
  call void @own(ptr %s, ptr %kernel, ptr %params, i64 %tasks, i32 {parts})
  ret void
}}

; an owner's job, from step 1 to step 5
define internal void @own(ptr %s, ptr %kernel, ptr %params, i64 %tasks, i32 %parts.most) {{
entry:
  %busy = getelementptr i8, ptr %s, i64 256
  %was = atomicrmw xchg ptr %busy, i32 1 acquire
  %free = icmp eq i32 %was, 0
  br i1 %free, label %open, label %alone
alone:
  call void %kernel(ptr %params, i64 0, i64 %tasks)
  ret void
open:
  %workers.at = getelementptr i8, ptr %s, i64 260
  %workers = load atomic i32, ptr %workers.at monotonic, align 4
  %kernel.at = getelementptr i8, ptr %s, i64 128
  store ptr %kernel, ptr %kernel.at
  %params.at = getelementptr i8, ptr %s, i64 136
  store ptr %params, ptr %params.at
  %tasks.at = getelementptr i8, ptr %s, i64 144
  store i64 %tasks, ptr %tasks.at
  %threads = add i32 %workers, 1
  %shares = shl i32 %threads, 4
  %shares.wide = zext i32 %shares to i64
  %part = udiv i64 %tasks, %shares.wide
  %step = call i64 @llvm.umax.i64(i64 %part, i64 1)
  %step.at = getelementptr i8, ptr %s, i64 152
  store i64 %step, ptr %step.at
  %mode = getelementptr i8, ptr %s, i64 160
  {store_mode}
  %few = shl i32 %threads, 2
  %few.wide = zext i32 %few to i64
  %many = icmp uge i64 %tasks, %few.wide
  %parts.here = select i1 %many, i32 %parts.most, i32 1
  %parts.32 = call i32 @llvm.umin.i32(i32 %threads, i32 %parts.here)
  %parts = zext i32 %parts.32 to i64
  %parts.at = getelementptr i8, ptr %s, i64 168
  store i64 %parts, ptr %parts.at
  %one = icmp eq i32 %parts.32, 1
  %turned.at = getelementptr i8, ptr %s, i64 184
  %turned = load i64, ptr %turned.at
  %otherwise = xor i64 %turned, 1
  %turned.new = select i1 %one, i64 %turned, i64 %otherwise
  store i64 %turned.new, ptr %turned.at
  %back = select i1 %one, i64 0, i64 %otherwise
  %back.at = getelementptr i8, ptr %s, i64 176
  store i64 %back, ptr %back.at
  br label %clear
clear:
  %cleared = phi i64 [0, %open], [%cleared.more, %clear]
  %line = shl i64 %cleared, 6
  %place = add i64 %line, 320
  %next = getelementptr i8, ptr %s, i64 %place
  store atomic i64 0, ptr %next monotonic, align 8
  %cleared.more = add i64 %cleared, 1
  %clean = icmp eq i64 %cleared.more, %parts
  br i1 %clean, label %tell, label %clear
tell:
  %gate.old = load atomic i64, ptr %s monotonic, align 8
  %number = lshr i64 %gate.old, 32
  %number.new = add i64 %number, 1
  %high = shl i64 %number.new, 32
  %gate.new = or i64 %high, 2147483648
  store atomic i64 %gate.new, ptr %s seq_cst, align 8
  %sleepers.at = getelementptr i8, ptr %s, i64 64
  %sleepers = load atomic i32, ptr %sleepers.at seq_cst, align 4
  %tasks.small = call i64 @llvm.umin.i64(i64 %tasks, i64 1000000)
  %tasks.32 = trunc i64 %tasks.small to i32
  %others = sub i32 %tasks.32, 1
  %useful = call i32 @llvm.umin.i32(i32 %others, i32 %workers)
  %wake = call i32 @llvm.umin.i32(i32 %sleepers, i32 %useful)
  %anyone = icmp ne i32 %wake, 0
  br i1 %anyone, label %call, label %share
call:
  %number.at = getelementptr i8, ptr %s, i64 4
  %woken = call i64 (i64, ...) @syscall(i64 {futex}, ptr %number.at, i32 129, i32 %wake)
  br label %share
share:
  call void @work(ptr %s, i64 0)
  %before = atomicrmw and ptr %s, i64 -2147483649 seq_cst
  %spins.at = getelementptr i8, ptr %s, i64 264
  %spins = load atomic i32, ptr %spins.at monotonic, align 4
  br label %look
look:
  %left = phi i32 [%spins, %share], [%left.less, %pause]
  %gate = load atomic i64, ptr %s acquire, align 8
  %inside = trunc i64 %gate to i32
  %alone.again = icmp eq i32 %inside, 0
  br i1 %alone.again, label %done, label %patient
patient:
  %more = icmp ne i32 %left, 0
  br i1 %more, label %pause, label %doze
pause:
  {pause}
  %left.less = sub i32 %left, 1
  br label %look
doze:
  %waiting = getelementptr i8, ptr %s, i64 68
  store atomic i32 1, ptr %waiting seq_cst, align 4
  br label %sleep
sleep:
  %gate.last = load atomic i64, ptr %s seq_cst, align 8
  %inside.last = trunc i64 %gate.last to i32
  %out = icmp eq i32 %inside.last, 0
  br i1 %out, label %awake, label %wait
wait:
  %slept = call i64 (i64, ...) @syscall(i64 {futex}, ptr %s, i32 128, i32 %inside.last, ptr null)
  br label %sleep
awake:
  store atomic i32 0, ptr %waiting monotonic, align 4
  br label %done
done:
  store atomic i32 0, ptr %busy release, align 4
  ret void
}}

; a worker's life
define void @worker(ptr %s) {{
entry:
  %number.at = getelementptr i8, ptr %s, i64 4
  %sleepers.at = getelementptr i8, ptr %s, i64 64
  %waiting = getelementptr i8, ptr %s, i64 68
  %mode = getelementptr i8, ptr %s, i64 160
  %workers.at = getelementptr i8, ptr %s, i64 260
  %spins.at = getelementptr i8, ptr %s, i64 264
  %patience.at = getelementptr i8, ptr %s, i64 268
  %hired.at = getelementptr i8, ptr %s, i64 272
  %hired = atomicrmw add ptr %hired.at, i64 1 monotonic
  %mine = add i64 %hired, 1
  %gate.first = load atomic i64, ptr %s monotonic, align 8
  %number.first = lshr i64 %gate.first, 32
  %number.before = sub i64 %number.first, 1
  %seen.first = trunc i64 %number.before to i32
  br label %look
look:
  %seen = phi i32 [%seen.first, %entry], [%seen, %idle], [%seen, %yield], [%seen, %sleep], [%seen, %enter], [%number, %leave], [%number, %notify]
  %left = phi i32 [0, %entry], [%left.less, %idle], [0, %yield], [%spins.woken, %sleep], [%left, %enter], [%spins, %leave], [%spins, %notify]
  %until = phi i64 [0, %entry], [%until, %idle], [%until, %yield], [%until.woken, %sleep], [%until, %enter], [%until.new, %leave], [%until.new, %notify]
  %idle.since = phi i64 [0, %entry], [%idle.since, %idle], [%idle.since, %yield], [%idle.since.woken, %sleep], [%idle.since, %enter], [%end, %leave], [%end, %notify]
  %gate = load atomic i64, ptr %s acquire, align 8
  %gate.high = lshr i64 %gate, 32
  %number = trunc i64 %gate.high to i32
  %inside = trunc i64 %gate to i32
  %open = icmp slt i32 %inside, 0
  %count = and i32 %inside, 2147483647
  %workers = load atomic i32, ptr %workers.at monotonic, align 4
  %room = icmp ult i32 %count, %workers
  %new = icmp ne i32 %number, %seen
  %wanted = and i1 %open, %room
  %go = and i1 %wanted, %new
  br i1 %go, label %enter, label %nothing
enter:
  %gate.in = add i64 %gate, 1
  %try = cmpxchg ptr %s, i64 %gate, i64 %gate.in seq_cst monotonic
  %in = extractvalue {{ i64, i1 }} %try, 1
  br i1 %in, label %job, label %look
job:
  %begin = call i64 @now()
  {load_mode}
  call void @work(ptr %s, i64 %mine)
  %gate.before = atomicrmw sub ptr %s, i64 1 seq_cst
  %spins = load atomic i32, ptr %spins.at monotonic, align 4
  %patience = load atomic i32, ptr %patience.at monotonic, align 4
  %long = zext i32 %patience to i64
  %end = call i64 @now()
  %gap = sub i64 %begin, %idle.since
  %soon = icmp slt i64 %gap, %long
  %patient = select i1 %soon, i64 %long, i64 0
  %until.new = add i64 %end, %patient
  br label %leave
leave:
  %low = trunc i64 %gate.before to i32
  %last = icmp eq i32 %low, 1
  %sleeping = load atomic i32, ptr %waiting seq_cst, align 4
  %sleeps = icmp ne i32 %sleeping, 0
  %tell = and i1 %last, %sleeps
  br i1 %tell, label %notify, label %look
notify:
  %told = call i64 (i64, ...) @syscall(i64 {futex}, ptr %s, i32 129, i32 1)
  br label %look
nothing:
  %more = icmp ne i32 %left, 0
  br i1 %more, label %idle, label %tired
tired:
  %time = call i64 @now()
  %hopeful = icmp slt i64 %time, %until
  br i1 %hopeful, label %yield, label %sleep
yield:
  %yielded = call i32 @sched_yield()
  br label %look
idle:
  {pause}
  %left.less = sub i32 %left, 1
  br label %look
sleep:
  %sleepers.old = atomicrmw add ptr %sleepers.at, i32 1 seq_cst
  %slept = call i64 (i64, ...) @syscall(i64 {futex}, ptr %number.at, i32 128, i32 %number, ptr null)
  %sleepers.new = atomicrmw sub ptr %sleepers.at, i32 1 seq_cst
  ; (too late for a job: what is waited for begins now)
  %gate.woken = load atomic i64, ptr %s monotonic, align 8
  %low.woken = trunc i64 %gate.woken to i32
  %in.time = icmp slt i32 %low.woken, 0
  %woken = call i64 @now()
  %idle.since.woken = select i1 %in.time, i64 %idle.since, i64 %woken
  %gap.woken = sub i64 %woken, %idle.since
  %patience.woken = load atomic i32, ptr %patience.at monotonic, align 4
  %long.woken = zext i32 %patience.woken to i64
  %soon.woken = icmp slt i64 %gap.woken, %long.woken
  %patient.woken = select i1 %soon.woken, i64 %long.woken, i64 0
  %until.woken = add i64 %woken, %patient.woken
  %spins.woken = load atomic i32, ptr %spins.at monotonic, align 4
  br label %look
}}

; what a pause takes, to be measured
define void @spin(i64 %times) {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%n, %loop]
  {pause}
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, %times
  br i1 %more, label %loop, label %done
done:
  ret void
}}

declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
declare i32 @llvm.umin.i32(i32, i32)
"""


def supported() -> bool:
    """Whether the text is for this system: Linux on little-endian x86-64 or ARM."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def text() -> str:
    """The module: `run`, `sweep`, `worker` and `spin`."""
    futex, pause, store_mode, load_mode, declarations = _MACHINES[platform.machine()]
    return _TEXT.format(
        futex=futex,
        pause=pause,
        store_mode=store_mode,
        load_mode=load_mode,
        declarations=declarations,
        parts=PARTS,
    )
