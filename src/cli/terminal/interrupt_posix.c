/* Handlers that note a signal. */
#define _XOPEN_SOURCE 700 /* SIGXFSZ */
#include "cli/terminal/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;

static void note(int number)
{
    caught = number;
}

static void set_handler(void (*handler)(int))
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = handler}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        /* What nohup or a shell's `&` has told us to ignore stays ignored. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

void cli_interrupt_install(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN}, child = {.sa_handler = SIG_DFL};
    set_handler(note);
    sigemptyset(&action.sa_mask);
    sigemptyset(&child.sa_mask);
    /* A closed pipe and a file over its limit are failed writes, found where they happen. */
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
    /* Where it is ignored, nobody learns how a child has ended, and its number is free at once. */
    sigaction(SIGCHLD, &child, NULL);
}

void cli_interrupt_restore(void)
{
    set_handler(SIG_DFL);
}

int cli_interrupt_signal(void)
{
    return (int)caught;
}

void cli_interrupt_raise(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction((int)caught, &action, NULL);
    raise((int)caught);
}
