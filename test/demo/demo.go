package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/kube"
)

// pollInterval is the interval in which the demonstration reads all states during the deploy, which takes a fraction of a second.
const pollInterval = 10 * time.Millisecond

// demo is one demonstration.
type demo struct {
	clients *kube.Clients
	inner   inner
	objects []object
	opts    *options
	outer   *outer
	screen  *screen
	servers servers
	task    int64 // the deploy's
	written bool  // there may be rows and objects of this demonstration
}

func newDemo(opts *options, s *screen) *demo {
	o := newOuter(opts.address(), !opts.givenDB && !opts.givenKube)
	return &demo{
		objects: objects(o.worker, o.user, opts.config.Kubernetes.Namespaces),
		inner:   inner{release: func() {}},
		opts:    opts, outer: o, screen: s,
	}
}

// run does everything. Work ends with ctx; clearing up after it goes on until forced ends.
func (d *demo) run(ctx, forced context.Context) (err error) {
	defer func() {
		d.inner.release()
		if err = errors.Join(err, d.outer.close(), d.servers.close()); err == nil {
			err = d.dropLog()
		}
	}()
	if err := d.bringUp(ctx); err != nil {
		return unlessEnded(ctx, err)
	}
	defer func() { err = errors.Join(err, d.bringDown(forced)) }()
	show, cancel := context.WithCancel(forced)
	defer cancel()
	if d.opts.verbose {
		wait, err := follow(show, d.inner.logFile, func(line string) { d.screen.line("  inner | %s", line) })
		if err != nil {
			return err
		}
		defer func() { cancel(); wait() }()
	}
	if err := d.serve(ctx); err != nil {
		return unlessEnded(ctx, err)
	}
	d.screen.step("inner", "ready")

	failure := d.play(ctx)
	if d.opts.once || ctx.Err() != nil || d.ended() {
		return failure
	}
	if failure != nil {
		fail(d.screen, failure)
	}
	d.more()
	return errors.Join(failure, d.keepServing(ctx))
}

// unlessEnded leaves out what went wrong only because the user has had enough.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// bringUp makes everything that Inner needs.
func (d *demo) bringUp(ctx context.Context) (err error) {
	d.screen.heading("Inner Gateway: starting")
	if err := checkListen(ctx, d.opts.config.HTTP.Listen); err != nil {
		return err
	}
	if d.inner.logFile, err = newLogFile(d.opts); err != nil {
		return err
	}
	if err := d.startServers(ctx); err != nil {
		return err
	}
	if d.clients, err = kube.NewClients(d.opts.config); err != nil {
		return err
	}
	if err := d.outer.open(d.opts.config.Database.DSN.Reveal()); err != nil {
		return err
	}
	if d.opts.givenKube {
		if err := d.prepareCluster(ctx); err != nil {
			return err
		}
	}
	if d.opts.real {
		if err := d.certify(ctx); err != nil {
			return err
		}
	}
	if err := d.migrate(ctx); err != nil {
		return err
	}
	d.screen.step("inner", "migrate: the database is up to date")
	d.screen.step("inner", "serve: %s, log in %s", d.opts.address(), d.inner.logFile)
	return nil
}

// play is the Outer's part, and what comes of it.
func (d *demo) play(ctx context.Context) (err error) {
	limited, cancel := context.WithTimeoutCause(ctx, d.opts.limit, fmt.Errorf("not Running within %s", d.opts.limit))
	defer cancel()
	d.screen.heading("The Outer Gateway deploys worker %s of user %s, image %s", d.outer.worker, d.outer.user, d.opts.image)
	d.written = true
	if err := d.outer.insert(limited, d.opts.image, d.opts.port); err != nil {
		return err
	}
	if d.task, err = d.outer.accept(limited, deployType, d.payload()); err != nil {
		return err
	}
	times := newTimeline(d.screen, len("IngressRoute "+d.objects[0].namespace+"/-ext"+d.objects[0].name))
	times.show(fact{what: "POST /api/acceptTask", state: fmt.Sprintf("200, accepted as task %d", d.task), mood: good})
	if err := d.watch(limited, times); err != nil {
		return err
	}
	d.screen.line("")
	d.screen.line("%s", d.screen.paint(good, fmt.Sprintf("worker %s is Running (%.1f s after the task was accepted)",
		d.outer.worker, time.Since(times.begin).Seconds())))
	if d.opts.real {
		return d.request(ctx)
	}
	return nil
}

func (d *demo) payload() workerPayload {
	return workerPayload{WorkerID: d.outer.worker, UserUID: d.outer.user, VersionID: d.outer.version}
}

// watch shows the deploy until it is over.
func (d *demo) watch(ctx context.Context, times *timeline) error {
	over, failure := false, error(nil)
	err := until(ctx, pollInterval, func(ctx context.Context) error {
		if d.ended() {
			over, failure = true, d.inner.serving.Failure()
			return nil
		}
		v, err := d.observe(ctx)
		if err != nil {
			return err
		}
		times.show(v.facts...)
		if over, failure = d.result(v); !over {
			return errPending
		}
		return nil
	})
	if !over {
		return fmt.Errorf("worker %s is not Running: %w", d.outer.worker, err)
	}
	return failure
}
