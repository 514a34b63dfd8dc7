package eventsapi

import "packhouse/internal/restjson"

const (
	namePattern = `[.\-_A-Za-z0-9]+`
	header      = `[\t\x{20}-\x{7E}]*`
	authHeader  = `[^\x{00}-\x{1F}:\x{7F}]+`
)

// shapes are the constraints of the service model of EventBridge.
func shapes() restjson.Shapes {
	return restjson.Shapes{
		"Name":            {Min: 1, Max: 64, Pattern: namePattern},
		"TopicName":       {Min: 1, Max: 256, Pattern: `[A-Za-z0-9_\-]+`},
		"EventBus":        {Min: 1, Max: 1600, Pattern: `(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus/)?[/.\-_A-Za-z0-9]+`},
		"EventPattern":    {Max: 4096},
		"Schedule":        {Max: 256},
		"RuleState":       {Enum: []string{enabled, disabled, enabledToo}},
		"Description":     {Max: 512},
		"Arn":             {Min: 1, Max: 1600},
		"NextToken":       {Min: 1, Max: 2048},
		"Limit":           {Min: 1, Max: 100},
		"Targets":         {Min: 1, Max: 100},
		"TargetIDs":       {Min: 1, Max: 100, Member: "Name"},
		"Input":           {Max: 8192},
		"InputPath":       {Max: 256},
		"InputPaths":      {Max: 100, Key: "InputName", Member: "InputPath"},
		"InputName":       {Min: 1, Max: 256, Pattern: `[A-Za-z0-9_\-]+`},
		"InputTemplate":   {Min: 1, Max: 8192},
		"RetryAttempts":   {Min: 0, Max: 185},
		"EventAge":        {Min: 60, Max: 86400},
		"PathValues":      {Max: 100, Member: "PathValue"},
		"PathValue":       {Min: 1, Max: 512, Pattern: `.*\S.*`},
		"Headers":         {Max: 100, Key: "HeaderKey", Member: "HeaderValue"},
		"HeaderKey":       {Min: 1, Max: 512, Pattern: "[!#$%&'*+\\-.^_`|~0-9a-zA-Z]+"},
		"HeaderValue":     {Max: 512, Pattern: header},
		"Query":           {Max: 100, Key: "QueryKey", Member: "QueryValue"},
		"QueryKey":        {Min: 1, Max: 512, Pattern: `[^\x{00}-\x{1F}\x{7F}]+`},
		"QueryValue":      {Max: 512, Pattern: `[^\x{00}-\x{09}\x{0B}\x{0C}\x{0E}-\x{1F}\x{7F}]*`},
		"BodyKey":         {Min: 1, Max: 512},
		"BodyValue":       {Max: 2048},
		"Parameters":      {Max: 100},
		"AuthType":        {Enum: []string{basic, apiKey, oauth}},
		"AuthHeader":      {Min: 1, Max: 512, Pattern: authHeader},
		"AuthSecret":      {Min: 1, Max: 512, Pattern: authHeader},
		"ConnectionState": {Enum: []string{"CREATING", "UPDATING", "DELETING", authorized, "DEAUTHORIZED", "AUTHORIZING", "DEAUTHORIZING", "ACTIVE", "FAILED_CONNECTIVITY"}},
		"Endpoint":        {Min: 1, Max: 2048, Pattern: `((%[0-9A-Fa-f]{2}|[-()_.!~*';/?:@&=+$,A-Za-z0-9])+)([).!';/?:,])?`},
		"HTTPMethod":      {Enum: []string{"POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}},
		"InvocationRate":  {Min: 1},
		"DeadLetterIDs":   {Min: 1, Max: 100, Member: "DeadLetterID"},
		"DeadLetterID":    {Min: 1, Max: 64, Pattern: `[a-z0-9]+`},
	}
}
