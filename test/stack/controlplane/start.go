package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/stack/process"
)

const (
	readyPoll = 20 * time.Millisecond
	// startLimit is far more than a slow machine needs, so that a hanging program becomes an error.
	startLimit = 2 * time.Minute
)

// bringUp starts the programs in the order in which they can be of use to one another.
func (c *ControlPlane) bringUp(ctx context.Context, opts Options, definitions []definition) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if c.nodeAddress == "" && !opts.ObjectsOnly {
		group.Go(func() error { return c.startKubelet(ctx, opts.Region) })
	}
	if !opts.ObjectsOnly {
		group.Go(func() error { return c.startOther(scheduler, c.schedulerArguments()) })
	}
	group.Go(func() error {
		if err := c.client.applyDefinitions(ctx, definitions); err != nil {
			return fmt.Errorf("install definitions: %w", err)
		}
		if opts.ObjectsOnly {
			return nil
		}
		// Only now: the garbage collector would take half a minute to see kinds that come after it.
		return c.startControllers(ctx)
	})
	group.Go(func() error {
		namespaces := opts.Namespaces
		if namespaces == nil {
			namespaces = defaultNamespaces()
		}
		return c.client.applyNamespaces(ctx, namespaces)
	})
	err := group.Wait()
	if errors.Is(err, process.ErrEnded) {
		return err
	}
	return errors.Join(err, c.ended())
}

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	program, err := c.start(etcd, c.etcdArguments())
	if err != nil {
		return err
	}
	c.adopt(program)
	return program.Await(ctx, readyPoll, c.etcdReady)
}

func (c *ControlPlane) etcdReady(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.etcdAddress+"/health", nil)
	if err != nil {
		return err
	}
	response, err := c.client.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// startKubelet starts the simulated kubelet and returns when its node is Ready.
func (c *ControlPlane) startKubelet(ctx context.Context, region string) error {
	if region == "" {
		region = defaultRegion
	}
	if err := c.client.applyNode(ctx, region); err != nil {
		return err
	}
	program, err := c.start(kwok, c.kwokArguments())
	if err != nil {
		return err
	}
	c.adopt(program)
	return program.Await(ctx, readyPoll, c.client.nodeReady)
}

// startControllers starts the controller manager and returns when one of its controllers has done some work.
func (c *ControlPlane) startControllers(ctx context.Context) error {
	program, err := c.start(controllerManager, c.controllerManagerArguments())
	if err != nil {
		return err
	}
	c.adopt(program)
	return program.Await(ctx, readyPoll, func(ctx context.Context) error {
		return c.client.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

func (c *ControlPlane) startOther(name string, arguments []string) error {
	program, err := c.start(name, arguments)
	if err != nil {
		return err
	}
	c.adopt(program)
	return nil
}

func (c *ControlPlane) adopt(program *process.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = append(c.others, program)
}

// ended reports the programs that should run and do not.
func (c *ControlPlane) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failures []error
	for _, program := range c.others {
		select {
		case <-program.Done():
			failures = append(failures, program.Failure())
		default:
		}
	}
	return errors.Join(failures...)
}

// StartAPIServer starts the API server, on the port it had before, and returns when it is ready. A running one is
// left alone.
func (c *ControlPlane) StartAPIServer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiServer != nil {
		return nil
	}
	program, err := c.start(apiServer, c.apiServerArguments())
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return c.client.get(ctx, "/readyz", nil) }
	if err := program.Await(ctx, readyPoll, ready); err != nil {
		program.Kill()
		return err
	}
	c.apiServer = program
	return nil
}

// StopAPIServer ends the API server at once, as an outage would; everything else runs on without it.
func (c *ControlPlane) StopAPIServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiServer != nil {
		c.apiServer.Kill()
		c.apiServer = nil
	}
}
