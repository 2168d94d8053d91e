/* SPDX-License-Identifier: MIT */
/* Wrappers: vfork(), and what syscall() makes return twice on one stack.
 *
 * The child runs in its parent's memory and on its stack, which it overwrites above the frame that
 * both return from. So the wrapper of vfork() leaves no frame: it notes its caller's address in
 * the thread's storage, calls, and then jumps there, in the child and in the parent. The child only
 * looks at what was noted, the parent takes it off; what a child forks in turn lies above it.
 *
 * clone() and clone3() by number, with a stack or in our memory, are jumped to: what they need is
 * done before, and nothing after. */
#include "shim/libc.h"

#include "shim/forks.h"
#include "shim/process.h"
#include "shim/user.h"
#include "shim/wrap.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/syscall.h>

enum { DEPTH = 16 };

struct noted {
	void *back;
	bool begun;
};
static __thread __attribute__((tls_model("initial-exec"))) struct noted notes[DEPTH];
static __thread __attribute__((tls_model("initial-exec"))) int depth;

#define FROM_ASSEMBLY __attribute__((used, visibility("hidden")))

/* Both words come back in registers. */
struct vfork_call {
	void *real;
	long noted; /* 0: jump, and do not come back */
};
struct vfork_result {
	long pid;
	void *back;
};

FROM_ASSEMBLY struct vfork_call vfork_prepare(void *back);
FROM_ASSEMBLY struct vfork_result vfork_returned(int pid);
FROM_ASSEMBLY void *syscall_prepare(long number, unsigned long flags, long second);

struct vfork_call vfork_prepare(void *back)
{
	bool passive = process_is_passive();
	int saved = errno;

	if (!passive)
		wrap_memory_shared(CLONE_VM | CLONE_VFORK);
	if (!libc.vfork)
		*(void **)&libc.vfork = dlsym(RTLD_NEXT, "vfork");
	errno = saved;
	if (depth == DEPTH)
		return (struct vfork_call){*(void **)&libc.vfork, 0};
	notes[depth++] = (struct noted){back, !passive};
	return (struct vfork_call){*(void **)&libc.vfork, 1};
}

struct vfork_result vfork_returned(int pid)
{
	struct noted *note = &notes[depth - 1];

	if (pid != 0) {
		depth--;
		if (note->begun) {
			process_vfork_end();
			fork_end(FORK_COPY);
		}
	}
	return (struct vfork_result){pid, note->back};
}

/* NULL: by the wrapper. Else what to jump to. Such a child is never seen to end. */
void *syscall_prepare(long number, unsigned long flags, long second)
{
	long stack = second;

	if (number == SYS_clone3) {
		const struct clone_args *args = (const struct clone_args *)flags;

		if (!user_readable(args, CLONE_ARGS_SIZE_VER0))
			return *(void **)&libc.syscall; /* EFAULT */
		flags = args->flags;
		stack = (long)args->stack;
	}
	if (!(flags & CLONE_VM) && !stack)
		return NULL;
	if (!(flags & CLONE_THREAD)) {
		int saved = errno;

		wrap_memory_shared(flags);
		errno = saved;
	}
	return *(void **)&libc.syscall;
}

#if defined(__x86_64__)
/* With a shadow stack (CET) the caller's entry is taken off it, as ret would. */
__asm__(".text\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n"
	"	.cfi_startproc\n"
	"	endbr64\n"
	"	movq (%rsp), %rdi\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call vfork_prepare\n"
	"	addq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	testq %rdx, %rdx\n"
	"	jz 1f\n"
	"	addq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_undefined rip\n"
	"	call *%rax\n"
	"	movl %eax, %edi\n"
	"	call vfork_returned\n"
	"	xorl %ecx, %ecx\n"
	"	rdsspq %rcx\n"
	"	testq %rcx, %rcx\n"
	"	jz 2f\n"
	"	movl $1, %ecx\n"
	"	incsspq %rcx\n"
	"2:	jmp *%rdx\n"
	"1:	jmp *%rax\n"
	"	.cfi_endproc\n"
	".size vfork, .-vfork\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	.cfi_startproc\n"
	"	endbr64\n"
	"	cmpq $58, %rdi\n" /* SYS_vfork */
	"	je vfork\n"
	"	cmpq $56, %rdi\n" /* SYS_clone */
	"	je 1f\n"
	"	cmpq $435, %rdi\n" /* SYS_clone3 */
	"	je 1f\n"
	"2:	jmp wrap_syscall\n"
	"1:	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	pushq %rcx\n"
	"	pushq %r8\n"
	"	pushq %r9\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 56\n"
	"	call syscall_prepare\n"
	"	addq $8, %rsp\n"
	"	popq %r9\n"
	"	popq %r8\n"
	"	popq %rcx\n"
	"	popq %rdx\n"
	"	popq %rsi\n"
	"	popq %rdi\n"
	"	.cfi_adjust_cfa_offset -56\n"
	"	testq %rax, %rax\n"
	"	jz 2b\n"
	"	jmp *%rax\n"
	"	.cfi_endproc\n"
	".size syscall, .-syscall\n");
_Static_assert(SYS_vfork == 58 && SYS_clone == 56 && SYS_clone3 == 435, "in the assembly above");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	mov x0, x30\n"
	"	bl vfork_prepare\n"
	"	ldp x29, x30, [sp], #16\n"
	"	mov x16, x0\n"
	"	cbz x1, 1f\n"
	"	blr x16\n"
	"	bl vfork_returned\n"
	"	ret x1\n"
	"1:	br x16\n"
	".size vfork, .-vfork\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	cmp x0, #220\n" /* SYS_clone */
	"	b.eq 1f\n"
	"	cmp x0, #435\n" /* SYS_clone3 */
	"	b.eq 1f\n"
	"2:	b wrap_syscall\n"
	"1:	stp x29, x30, [sp, #-80]!\n"
	"	stp x0, x1, [sp, #16]\n"
	"	stp x2, x3, [sp, #32]\n"
	"	stp x4, x5, [sp, #48]\n"
	"	str x6, [sp, #64]\n"
	"	bl syscall_prepare\n"
	"	mov x16, x0\n"
	"	ldp x0, x1, [sp, #16]\n"
	"	ldp x2, x3, [sp, #32]\n"
	"	ldp x4, x5, [sp, #48]\n"
	"	ldr x6, [sp, #64]\n"
	"	ldp x29, x30, [sp], #80\n"
	"	cbz x16, 2b\n"
	"	br x16\n"
	".size syscall, .-syscall\n");
_Static_assert(SYS_clone == 220 && SYS_clone3 == 435, "in the assembly above");
#endif
