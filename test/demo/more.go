package main

import (
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
)

// more prints what to try next, ready to be copied into another terminal.
func (d *demo) more() {
	s, o := d.screen, d.outer
	s.heading("To try more, in another terminal")
	d.example("a second version of the worker", d.deployCommand(d.secondImage()))
	if !d.opts.givenKube {
		d.example("an image that crashes on the simulated node (/fail/pull, /fail/oom and /slow/ are others to try): "+
			"the new version becomes error with the reason, the pods of the one before go on",
			d.deployCommand("registry.example.com/fail/crash:1"))
	}
	if body, err := outerForm(deployType, d.payload()); err == nil {
		d.example("what the Outer Gateway sent, once more", d.post("/api/acceptTask", string(body)))
	}
	d.example("how a task stands; the answers to the above name theirs",
		fmt.Sprintf("curl -sS %s", quote(fmt.Sprintf("%s/api/tasks/%d", o.address, d.task))))
	d.example("what Inner is waiting for, if anything", "curl -sS "+quote(o.address+"/readyz"))
	d.example("the rows", fmt.Sprintf(`psql %s -c "SELECT w.status, w.active_version_id, v.id, v.image, v.status, v.msg `+
		`FROM workers w JOIN worker_deploy_versions v ON v.worker_id = w.id WHERE w.wid = '%s' ORDER BY v.id"`,
		quote(d.shownDSN()), o.worker))
	d.example("the cluster", d.clusterCommand())
	d.example("the deletion of the worker, in the form that is easier to read", d.post("/api/acceptTask",
		fmt.Sprintf(`{"task_type":%q,"task_info":{"worker_id":%q,"user_uid":%q}}`, deleteType, o.worker, o.user)))
	s.line("")
	s.line("%s", s.paint(title, "Serving "+o.address+" until interrupted (Ctrl-C)."))
}

func (d *demo) example(what, command string) {
	d.screen.line("%s", d.screen.paint(faint, "  # "+what))
	d.screen.line("  %s", command)
}

func (d *demo) deployCommand(image string) string {
	return d.post("/api/worker/deploy", fmt.Sprintf(`{"user_uid":%q,"worker_id":%q,"image":%q,"port":%d}`,
		d.outer.user, d.outer.worker, image, d.opts.port))
}

func (d *demo) secondImage() string {
	if d.opts.givenKube {
		return "nginxinc/nginx-unprivileged:mainline-alpine"
	}
	return "registry.example.com/demo/hello:2"
}

func (d *demo) post(path, body string) string {
	return fmt.Sprintf("curl -sS %s -H 'Content-Type: application/json' -d %s", quote(d.outer.address+path), quote(body))
}

// shownDSN hides the password of a database that is the user's own. The private one's is worth nothing elsewhere.
func (d *demo) shownDSN() string {
	dsn := d.opts.config.Database.DSN.Reveal()
	if !d.opts.givenDB {
		return dsn
	}
	address, err := url.Parse(dsn)
	if err != nil || address.Host == "" {
		return "the DSN that you gave"
	}
	return address.Redacted()
}

// clusterCommand works without kubectl as well, as long as the private cluster's files are there.
func (d *demo) clusterCommand() string {
	kubeconfig, namespace := d.opts.config.Kubernetes.Kubeconfig, d.opts.config.Kubernetes.Namespaces.Worker
	_, err := exec.LookPath("kubectl")
	if err == nil || d.servers.cluster == nil {
		return fmt.Sprintf("KUBECONFIG=%s kubectl -n %s get workerapps,deployments,pods", quote(kubeconfig), namespace)
	}
	cluster := d.servers.cluster
	return fmt.Sprintf(`curl -sS --cacert %s -H "Authorization: Bearer %s" %s`,
		quote(filepath.Join(cluster.Dir(), "apiserver.crt")), cluster.Token(),
		quote(cluster.Address()+"/apis/console.app238.com/v1/namespaces/"+namespace+"/workerapps"))
}

// quote makes a text one word of a shell's command line.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
