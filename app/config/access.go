package config

// Access says who may call the routes of one kind.
type Access struct {
	Mode      string   `mapstructure:"mode"`
	Namespace string   `mapstructure:"namespace"`
	Labels    string   `mapstructure:"labels"`
	Audience  string   `mapstructure:"audience"`
	Subjects  []string `mapstructure:"subjects"`
}

// Values of Access.Mode.
const (
	AccessNone           = "none"
	AccessCombinatorPods = "combinator-pods"
	AccessPods           = "pods"
	AccessToken          = "token"
)

// Kinds of routes, the keys of HTTP.Access.
const (
	SecretRoutes    = "secrets"
	UsageRoutes     = "usage"
	TaskRoutes      = "tasks"
	WorkerRoutes    = "workers"
	OperationRoutes = "operations"
)
