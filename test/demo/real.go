package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	_ "github.com/lib/pq" // for the server of the node
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/realnode"
	"app238.com/inner/test/realnode/images"
	"app238.com/inner/test/realnode/network"
	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/certificate"
)

const (
	realImage   = "localhost/hello:1"
	realPackage = "app238.com/inner/test/realnode/images/web"
	realWords   = "Hello, this is the worker itself, in a container."
	realPoll    = 200 * time.Millisecond
	realLimit   = time.Minute
)

// enterNode runs this program once more, on a real node in a sandbox.
func enterNode(ctx context.Context, root string, arguments []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "inner-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "withnode")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./test/realnode/cmd/withnode")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build withnode: %w\n%s", err, output)
	}
	// It gets the terminal's signals by itself, and then ends in good order; without it, the sandbox ends with its keeper.
	node := exec.CommandContext(ctx, program,
		append([]string{"--crd", filepath.Join(root, "configs", "crd", "workerapps.yaml"), "--", self}, arguments...)...)
	node.Dir, node.Stdin, node.Stdout, node.Stderr = root, os.Stdin, os.Stdout, os.Stderr
	node.Env = append(os.Environ(), realnode.EnvRequire+"=yes")
	return node.Run()
}

// useNode takes the servers of the node instead of private ones, and gives it the worker's image.
func (d *demo) useNode(ctx context.Context) error {
	d.screen.step("node", "a real one: containerd, kubelet, kube-proxy, CoreDNS and Traefik")
	archive := filepath.Join(os.Getenv(realnode.EnvDir), "hello.tar")
	if err := images.Build(ctx, realPackage, realImage, archive, "WORDS="+realWords); err != nil {
		return err
	}
	if err := images.Import(ctx, realnode.Sockets(os.Getenv(realnode.EnvDir))[0], archive); err != nil {
		return err
	}
	d.screen.step("node", "has the image %s", realImage)
	server, err := url.Parse(os.Getenv(stack.EnvDSN))
	if err != nil {
		return errors.New(stack.EnvDSN + " is no address of a database")
	}
	db, err := sql.Open("postgres", server.String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for name, dsn := range map[string]*config.Secret{databaseName: &d.opts.config.Database.DSN,
		tenantsName: &d.opts.config.Combinator.RDB.DSN} {
		if _, err := db.ExecContext(ctx, `CREATE DATABASE "`+name+`"`); err != nil {
			return fmt.Errorf("make database %s: %w", name, err)
		}
		own := *server
		own.Path = "/" + name
		*dsn = config.Secret(own.String())
	}
	d.opts.config.Kubernetes.Kubeconfig = os.Getenv(stack.EnvKubeconfig)
	return nil
}

// certify makes the certificate of the workers' names, with which the ingress answers.
func (d *demo) certify(ctx context.Context) error {
	chain, key, err := certificate.SelfSigned("workers", "*.worker."+d.opts.config.Domain)
	if err != nil {
		return err
	}
	_, err = d.clients.Typed.CoreV1().Secrets(d.opts.config.Kubernetes.Namespaces.Ingress).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "worker-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key},
	}, metav1.CreateOptions{})
	return err
}

// request asks the worker as its users do, through the ingress, and shows its answer.
func (d *demo) request(ctx context.Context) error {
	host := workerapp.Hosts(d.outer.worker, d.outer.user, d.opts.config.Domain)[0]
	ctx, cancel := context.WithTimeoutCause(ctx, realLimit, fmt.Errorf("no answer within %s", realLimit))
	defer cancel()
	answer := ""
	err := until(ctx, realPoll, func(ctx context.Context) (err error) {
		answer, err = network.Visit(ctx, network.Visitor("443", false), host, "/")
		return err
	})
	if err != nil {
		return fmt.Errorf("ask https://%s/: %w", host, err)
	}
	d.screen.heading("A user asks the worker, through Traefik")
	d.screen.line("  curl -k --resolve %s:443:%s https://%s/", host, network.Internet, host)
	d.screen.line("  %s", d.screen.paint(good, answer))
	return nil
}
