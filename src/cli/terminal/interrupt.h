/* SIGINT, SIGTERM and SIGHUP are noted and acted upon where nothing is left behind. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

void cli_interrupt_install(void);

/* Back to ending the process at once, while there is nothing on the disk to take away. */
void cli_interrupt_restore(void);

/* The signal that came, or 0. */
int cli_interrupt_signal(void);

/* Ends the process as the signal would have, so that a shell's loop ends too. */
void cli_interrupt_raise(void);

#endif
