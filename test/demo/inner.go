package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"app238.com/inner/test/stack/process"
)

const (
	migrateLimit = 2 * time.Minute
	readyLimit   = 2 * time.Minute
	readyPoll    = 50 * time.Millisecond
	// stopMargin comes on top of the times that Inner's configuration gives its parts for stopping.
	stopMargin = 20 * time.Second
)

// inner is the program under demonstration.
type inner struct {
	logFile string
	program string
	release func()           // lets others replace the program's file
	serving *process.Process // nil until it is started
}

// checkListen fails where Inner could not listen, before anything expensive is begun.
func checkListen(ctx context.Context, address string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is taken by another program; choose another address with -l, "+
			"such as make run ARGS='-l 127.0.0.1:9911'", address)
	case err != nil:
		return fmt.Errorf("-l: %w", err)
	}
	return listener.Close()
}

// start runs a subcommand of Inner. The DSN goes by the environment, which other users of the machine cannot read.
func (d *demo) start(subcommand string) (*process.Process, error) {
	c := d.opts.config
	return process.Start(process.Spec{
		Args: []string{
			subcommand, "--config", d.opts.configFile, "-l", c.HTTP.Listen, "-k", c.Kubernetes.Kubeconfig,
		},
		Env: append(os.Environ(), "INNER_DATABASE_DSN="+c.Database.DSN.Reveal(),
			"INNER_COMBINATOR_RDB_DSN="+c.Combinator.RDB.DSN.Reveal(), "INNER_COMBINATOR_KV_EMBEDDED="+d.embeddedKV()),
		LogFile: d.inner.logFile,
		Name:    "inner " + subcommand,
		Path:    d.inner.program,
	})
}

// embeddedKV is the folder of the key-value engine inside Inner, unless the configuration names one or a real engine.
func (d *demo) embeddedKV() string {
	kv := d.opts.config.Combinator.KV
	if kv.Embedded != "" || len(kv.PD) > 0 {
		return kv.Embedded
	}
	return kvFolder(d.inner.logFile)
}

func (d *demo) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, migrateLimit, errors.New("inner migrate took too long"))
	defer cancel()
	running, err := d.start("migrate")
	if err != nil {
		return err
	}
	select {
	case <-running.Done():
	case <-ctx.Done():
		running.Kill()
		return context.Cause(ctx)
	}
	if running.ExitStatus() != 0 {
		return running.Failure()
	}
	return nil
}

// serve starts Inner and returns when it says that it can do its work.
func (d *demo) serve(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, errors.New("inner serve took too long to be ready"))
	defer cancel()
	if d.inner.serving, err = d.start("serve"); err != nil {
		return err
	}
	d.inner.release()
	said := ""
	return d.inner.serving.Await(ctx, readyPoll, func(ctx context.Context) error {
		waiting, err := d.outer.notReady(ctx)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			return nil
		}
		names := strings.Join(waiting, ", ")
		if names != said {
			said = names
			d.screen.step("inner", "waiting for: %s", names)
		}
		return errors.New("not ready: " + names)
	})
}

// ended tells whether Inner has ended; how, its Failure then tells.
func (d *demo) ended() bool {
	select {
	case <-d.inner.serving.Done():
		return true
	default:
		return false
	}
}

// stopInner ends Inner in good order, and says so where that was not to be had.
func (d *demo) stopInner(ctx context.Context) error {
	if d.inner.serving == nil || d.ended() {
		return nil // whoever waited for something else has reported it
	}
	c := d.opts.config
	if err := d.inner.serving.Stop(ctx, c.Tasks.ShutdownTimeout+c.HTTP.ShutdownTimeout+stopMargin); err != nil {
		return fmt.Errorf("inner serve was killed: %w", err)
	}
	if d.inner.serving.ExitStatus() != 0 {
		return d.inner.serving.Failure()
	}
	return nil
}
