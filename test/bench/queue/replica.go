package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"

	"github.com/spf13/pflag"
)

// replicaCommand is the first argument of a process that is a replica of Inner, started by this program.
const replicaCommand = "replica"

// report is what a replica says of itself: at its start, and whenever it is asked.
type report struct {
	Address string `json:"address"`
	// Entered counts the tasks that were begun, Held those that are held at the moment.
	Entered int64 `json:"entered"`
	Held    int64 `json:"held"`
	// StartMedian and StartTail are the times from call to start in milliseconds.
	StartMedian float64 `json:"start_p50"`
	StartTail   float64 `json:"start_p99"`
}

// resetLine has a replica forget its times, once it has reported them.
const resetLine = "reset"

// runReplica is the program of a replica: it reports to out for every line of in, and ends with in.
func runReplica(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	var dsn, kubeconfig string
	var workers int
	flags := pflag.NewFlagSet(replicaCommand, pflag.ContinueOnError)
	flags.StringVar(&dsn, "database", "", "DSN of the database")
	flags.StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of no cluster")
	flags.IntVar(&workers, "workers", 0, "concurrent tasks; 0: the default")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var seen watch
	s, err := startInner(ctx, dsn, kubeconfig, &seen, true, workers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	encoder := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for ok := true; ok; ok = lines.Scan() {
		err := encoder.Encode(report{
			Address: s.server.Address(), Entered: seen.entered.Load(), Held: seen.held.Load(),
			StartMedian: milliseconds(seen.start.percentile(0.5)), StartTail: milliseconds(seen.start.percentile(0.99)),
		})
		if err != nil {
			return err
		}
		if lines.Text() == resetLine {
			seen.start.reset()
		}
	}
	return lines.Err()
}

// replica is a replica as its parent sees it.
type replica struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	address string
}

// startReplica starts a process of Inner's queue; workers 0: the default.
func (w *fixture) startReplica(ctx context.Context, workers int) (*replica, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	kubeconfig, err := w.idleKubeconfig()
	if err != nil {
		return nil, err
	}
	r := &replica{process: exec.CommandContext(context.WithoutCancel(ctx), program, replicaCommand, "--database", w.inner.dsn,
		"--kubeconfig", kubeconfig, "--workers", fmt.Sprint(workers))}
	r.process.Stderr = os.Stderr
	if r.in, err = r.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = json.NewDecoder(out)
	if err := r.process.Start(); err != nil {
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	var first report
	if err := r.out.Decode(&first); err != nil {
		return nil, errors.Join(fmt.Errorf("a replica did not start: %w", err), r.kill())
	}
	r.address = first.Address
	return r, nil
}

// report asks the replica for its counts, and for its times since the last reset.
func (r *replica) report() (report, error) { return r.ask("") }

// reset is report, and has the replica forget its times.
func (r *replica) reset() (report, error) { return r.ask(resetLine) }

func (r *replica) ask(line string) (found report, err error) {
	if _, err := io.WriteString(r.in, line+"\n"); err != nil {
		return found, err
	}
	return found, r.out.Decode(&found)
}

// stop has the replica end as at a signal, and returns its last report.
func (r *replica) stop() (report, error) {
	last, err := r.report()
	return last, errors.Join(err, r.in.Close(), r.process.Wait())
}

// kill ends the replica at once.
func (r *replica) kill() error {
	err := r.process.Process.Kill()
	_ = r.process.Wait() // the error says only that it was killed
	return err
}

// replicaSet is the session of several replicas: producers take one after the other, and the next when theirs is gone.
type replicaSet struct {
	replicas []atomic.Pointer[replica]
	turn     atomic.Int64
}

// startReplicas starts n replicas.
func (w *fixture) startReplicas(ctx context.Context, n int) (*replicaSet, error) {
	s := &replicaSet{replicas: make([]atomic.Pointer[replica], n)}
	for i := range s.replicas {
		r, err := w.startReplica(ctx, 0)
		if err != nil {
			return nil, errors.Join(err, s.stop(ctx))
		}
		s.replicas[i].Store(r)
	}
	return s, nil
}

func (s *replicaSet) producer(context.Context) (producer, error) {
	return &overHTTP{address: func() string {
		return s.replicas[int(s.turn.Add(1))%len(s.replicas)].Load().address
	}}, nil
}

// stop ends all replicas.
func (s *replicaSet) stop(context.Context) (err error) {
	for i := range s.replicas {
		if r := s.replicas[i].Swap(nil); r != nil {
			_, stopErr := r.stop()
			err = errors.Join(err, stopErr)
		}
	}
	return err
}
