{{/* Names. */}}
{{- define "sidetap.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Begins with a letter, as the name of a Service must, even for a release named 1234. */}}
{{- define "sidetap.fullname" -}}
{{- $name := include "sidetap.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if regexMatch "^[0-9]" .Release.Name -}}
{{- printf "%s-%s" $name .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sidetap.webhook" -}}{{ include "sidetap.fullname" . }}-webhook{{- end -}}
{{- define "sidetap.registry" -}}{{ include "sidetap.fullname" . }}-registry{{- end -}}
{{- define "sidetap.identitiesReader" -}}{{ include "sidetap.fullname" . }}-identities-reader{{- end -}}
{{- define "sidetap.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "sidetap.webhook" .) -}}
{{- end -}}

{{/* The Secret that holds the certificate. The webhook's own has another name than what others write: a change of mode
     neither meets a Secret that is not the chart's nor takes away the one that was just made. */}}
{{- define "sidetap.tlsSecret" -}}
{{- if eq .Values.certificates.mode "selfManaged" -}}
{{- include "sidetap.fullname" . }}-self-managed-tls
{{- else if and (eq .Values.certificates.mode "existingSecret") .Values.certificates.existingSecret.name -}}
{{- .Values.certificates.existingSecret.name -}}
{{- else -}}
{{- include "sidetap.webhook" . }}-tls
{{- end -}}
{{- end -}}

{{/* Does the registry watch Services, and Nodes? Each is a right of its own. */}}
{{- define "sidetap.watchesServices" -}}
{{- if and .Values.registry.enabled .Values.registry.services -}}yes{{- end -}}
{{- end -}}
{{- define "sidetap.watchesNodes" -}}
{{- if and (include "sidetap.watchesServices" .) .Values.registry.nodes -}}yes{{- end -}}
{{- end -}}

{{/* Does the registry know whose a tap is, and does it give that out? */}}
{{- define "sidetap.knowsIdentities" -}}
{{- if and .Values.registry.enabled (eq .Values.registry.auth "token") -}}yes{{- end -}}
{{- end -}}
{{- define "sidetap.givesIdentities" -}}
{{- if and (include "sidetap.knowsIdentities" .) .Values.identities.enabled -}}yes{{- end -}}
{{- end -}}

{{/* What the page shows is the registry's. On the network of a node, every process of the node would reach it. */}}
{{- define "sidetap.servesPage" -}}
{{- if and .Values.page.enabled .Values.registry.enabled (not .Values.webhook.hostNetwork) -}}yes{{- end -}}
{{- end -}}

{{/* Events about taps are events, and only the registry with its tokens knows whose tap it is. */}}
{{- define "sidetap.writesTapEvents" -}}
{{- if and .Values.events.enabled .Values.events.taps (include "sidetap.knowsIdentities" .) -}}yes{{- end -}}
{{- end -}}

{{/* The webhook asks the API for its certificates, for token reviews, for what it watches, and to write events. */}}
{{- define "sidetap.asksApi" -}}
{{- if or .Values.coverage.enabled .Values.events.enabled (eq .Values.certificates.mode "selfManaged") (include "sidetap.watchesServices" .) (and .Values.registry.enabled (eq .Values.registry.auth "token")) -}}yes{{- end -}}
{{- end -}}

{{/* May the registry look at pods? A connection proves its source: one address of dual-stack pods, and none where traffic to a node
     leaves with the node's. Only subnets of one family say that pods have one address each; without any, they may have two. */}}
{{- define "sidetap.readsPods" -}}
{{- $pods := join "," .Values.subnets.pods -}}
{{- $dual := or (not $pods) (and (contains ":" $pods) (contains "." $pods)) -}}
{{- $wanted := or (eq .Values.registry.readPods "always") (and (eq .Values.registry.readPods "auto") (or $dual .Values.webhook.hostNetwork)) -}}
{{- if and .Values.registry.enabled (eq .Values.registry.auth "token") $wanted -}}yes{{- end -}}
{{- end -}}

{{/* Labels and annotations. Each set is merged, not listed: a key that comes twice is no YAML. */}}
{{- define "sidetap.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sidetap.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: webhook
{{- end -}}

{{/* Labels of the webhook's pods: what selects them wins over what is asked for, and the pods' own over what all objects get. */}}
{{- define "sidetap.podLabels" -}}
{{- toYaml (merge (include "sidetap.selectorLabels" . | fromYaml) .Values.webhook.podLabels .Values.commonLabels) -}}
{{- end -}}

{{/* The configuration is one of them, so that it is part of the pod template: see _config.tpl. */}}
{{- define "sidetap.podAnnotations" -}}
{{- $own := dict "sidetap.io/configuration" (include "sidetap.configuration" .) -}}
{{- toYaml (merge $own .Values.webhook.podAnnotations .Values.commonAnnotations (dict "kubectl.kubernetes.io/default-container" "webhook")) -}}
{{- end -}}

{{- define "sidetap.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/name: {{ include "sidetap.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{/* include "sidetap.metadata" (dict "context" $ "name" NAME): name, labels and annotations of an object. "namespace", when it
     is not the release's; "cluster" true, when it has none. */}}
{{- define "sidetap.metadata" -}}
{{- $labels := include "sidetap.labels" .context | fromYaml -}}
{{- with .component }}{{ $labels = set $labels "app.kubernetes.io/component" . }}{{ end -}}
name: {{ .name | quote }}
{{- if not .cluster }}
namespace: {{ .namespace | default .context.Release.Namespace | quote }}
{{- end }}
labels:
  {{- toYaml (merge $labels (.labels | default dict) .context.Values.commonLabels) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* include "sidetap.image" (dict "context" $ "image" .Values.image.webhook) */}}
{{- define "sidetap.image" -}}
{{- with .context.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .context.Values.image.tag | default .context.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* include "sidetap.serverIs" (list $ "1.30"): is the server that minor version or newer? Vendors' suffixes ("-gke.100") count as the version itself. */}}
{{- define "sidetap.serverIs" -}}
{{- if semverCompare (printf ">=%s.0-0" (index . 1)) (index . 0).Capabilities.KubeVersion.Version -}}yes{{- end -}}
{{- end -}}

{{/* Namespaces that the API server never asks about. */}}
{{- define "sidetap.excludedNamespaces" -}}
{{- toYaml (concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.injection.excludedNamespaces | uniq) -}}
{{- end -}}

{{/* Levels of Pod Security at which the API server would refuse a pod for its tap. */}}
{{- define "sidetap.refusingLevels" -}}
{{- toYaml (ternary (list "restricted") (list "restricted" "baseline") (eq (include "sidetap.passesBaseline" .) "yes")) -}}
{{- end -}}

{{/* Namespaces whose pods may have taps, as a label selector: that of the webhook's entries without what it says of the label that
     asks for injection. */}}
{{- define "sidetap.coverageSelector" -}}
{{- $excluded := include "sidetap.excludedNamespaces" . | fromYamlArray | join "," -}}
{{- $levels := include "sidetap.refusingLevels" . | fromYamlArray | join "," -}}
{{- printf "kubernetes.io/metadata.name notin (%s),pod-security.kubernetes.io/enforce notin (%s)" $excluded $levels -}}
{{- end -}}

{{/* include "sidetap.pullSecrets" (list NAME...): the field of a pod, or nothing. */}}
{{- define "sidetap.pullSecrets" -}}
{{- with . -}}
imagePullSecrets:
  {{- range . | uniq }}
  - name: {{ . | quote }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The security context of a container that passes the level `restricted`, together with its pod's. */}}
{{- define "sidetap.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* include "sidetap.tolerated" (list TAINT TOLERATIONS): "yes" or nothing. */}}
{{- define "sidetap.tolerated" -}}
{{- $taint := index . 0 -}}
{{- $yes := eq $taint.effect "PreferNoSchedule" -}}
{{- range index . 1 -}}
{{- $key := or (eq (.key | default "") $taint.key) (and (not .key) (eq (.operator | default "") "Exists")) -}}
{{- $value := or (eq (.operator | default "Equal") "Exists") (eq (.value | default "" | toString) ($taint.value | default "" | toString)) -}}
{{- $effect := or (not .effect) (eq (.effect | default "") $taint.effect) -}}
{{- if and $key $value $effect -}}{{- $yes = true -}}{{- end -}}
{{- end -}}
{{- if $yes -}}yes{{- end -}}
{{- end -}}

{{/* Nodes that take a pod of the webhook, as far as its node selector and tolerations say; 0: not known, as without a cluster. */}}
{{- define "sidetap.nodes" -}}
{{- $count := 0 -}}
{{- range (lookup "v1" "Node" "" "").items | default list -}}
{{- $node := . -}}
{{- $fits := not $node.spec.unschedulable -}}
{{- range $key, $value := $.Values.webhook.nodeSelector -}}
{{- if ne (toString (get ($node.metadata.labels | default dict) $key)) $value -}}{{- $fits = false -}}{{- end -}}
{{- end -}}
{{- range $node.spec.taints | default list -}}
{{- if not (include "sidetap.tolerated" (list . $.Values.webhook.tolerations)) -}}{{- $fits = false -}}{{- end -}}
{{- end -}}
{{- if $fits -}}{{- $count = add1 $count -}}{{- end -}}
{{- end -}}
{{- $count -}}
{{- end -}}

{{/* Pods of the webhook. On the nodes' network each needs a node of its own: one too many is never scheduled, and no rollout
     ends. */}}
{{- define "sidetap.replicas" -}}
{{- $replicas := int .Values.webhook.replicas -}}
{{- if and .Values.webhook.hostNetwork (gt $replicas 1) -}}
{{- $nodes := int (include "sidetap.nodes" .) -}}
{{- if gt $nodes 0 -}}{{- $replicas = min $replicas $nodes -}}{{- end -}}
{{- end -}}
{{- $replicas -}}
{{- end -}}
