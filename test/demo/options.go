package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"app238.com/inner/app/config"
	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/ports"
)

const (
	// simulatedImage is never pulled: the private cluster's node only reads the name.
	simulatedImage = "registry.example.com/demo/hello:1"
	// publicImage is for clusters with real nodes. It needs neither root nor the capabilities that workers lack.
	publicImage = "nginxinc/nginx-unprivileged:stable-alpine"

	// workerPort is the port of these images.
	workerPort = 8080
)

// options are what the user chose.
type options struct {
	anyPort    bool   // the listening port is not of the user's choice
	cache      string // folder of what is kept between runs
	config     *config.Config
	configFile string
	givenDB    bool // the database is the user's own
	givenKube  bool // the cluster is the user's own
	image      string
	limit      time.Duration
	once       bool
	port       int
	real       bool   // on a real node
	root       string // of the clone
	verbose    bool
}

// parse reads the command line. The configuration it returns is the one that Inner will read as well.
func parse(ctx context.Context, root string, arguments []string) (*options, error) {
	o := &options{root: root}
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(os.Stderr, "usage: make run ARGS='[flag]...'\n\n%s", flags.FlagUsages())
	}
	config.AddFlags(flags)
	flags.StringVar(&o.image, "image", "", "image of the worker (default: one that fits the cluster)")
	flags.DurationVar(&o.limit, "limit", 2*time.Minute, "how long the worker may take to be Running")
	flags.BoolVar(&o.once, "once", false, "end after the demonstration")
	flags.IntVar(&o.port, "port", 0, "port of the worker (default: one that fits the image)")
	flags.BoolVar(&o.real, "real", false, "on a real node, in a sandbox that ends with the demonstration (root on Debian)")
	flags.BoolVar(&o.verbose, "verbose", false, "show the log of Inner")
	flags.Lookup("config").DefValue = "configs/dev.yaml"
	flags.Lookup("database").Usage = "database to use instead of a private one, a postgres:// URL"
	flags.Lookup("kubeconfig").Usage = "kubeconfig of a cluster to use instead of a private one"
	flags.Lookup("listen").DefValue = "127.0.0.1:9901"
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if !flags.Changed("config") {
		if err := flags.Set("config", filepath.Join(root, "configs", "dev.yaml")); err != nil {
			return nil, err
		}
	}
	o.configFile = flags.Lookup("config").Value.String()
	o.givenDB = flags.Lookup("database").Value.String() != ""
	o.givenKube = flags.Lookup("kubeconfig").Value.String() != ""
	if o.real && (o.givenDB || o.givenKube) {
		return nil, errors.New("--real has a database and a cluster of its own: leave -d and -k out")
	}
	o.once = o.once || o.real // nobody outside of the sandbox reaches what would go on serving
	o.chooseImage()
	var err error
	if o.cache, err = cacheFolder(); err != nil {
		return nil, err
	}
	if o.config, err = config.Load(flags); err != nil {
		return nil, err
	}
	if err := o.choosePort(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *options) chooseImage() {
	image := simulatedImage
	if o.givenKube {
		image = publicImage
	}
	if o.real {
		image = realImage
	}
	if o.image == "" {
		o.image = image
	}
	if o.port == 0 {
		o.port = workerPort
	}
}

// choosePort replaces port 0, so that Inner and its user know the port beforehand.
func (o *options) choosePort(ctx context.Context) error {
	host, port, err := net.SplitHostPort(o.config.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("-l: %w", err)
	}
	if port != "0" {
		return nil
	}
	free, err := ports.Free(ctx, 1)
	if err != nil {
		return err
	}
	o.anyPort = true
	o.config.HTTP.Listen = net.JoinHostPort(host, strconv.Itoa(free[0]))
	return nil
}

// address is where a client on this machine finds Inner.
func (o *options) address() string {
	host, port, err := net.SplitHostPort(o.config.HTTP.Listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func cacheFolder() (string, error) {
	if dir := os.Getenv(build.EnvCache); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", errors.New("no folder to keep builds in: set HOME or " + build.EnvCache)
	}
	return filepath.Join(dir, "inner-gateway"), nil
}
