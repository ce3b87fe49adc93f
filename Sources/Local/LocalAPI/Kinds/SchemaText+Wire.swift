// Numbers of the fields in the protobuf form of the kinds that kubectl creates with typed clients (1.31 and
// newer send those in protobuf). `name=number`, with a path where the wire nests what JSON inlines; `*` for
// fields whose zero means something, `-` for those that a creation ignores.
// Source: the protobuf tags of the published Kubernetes API types.

extension SchemaText {
    static let wire = """
        Namespace metadata=1 spec=2 status=3-
        ConfigMap metadata=1 immutable=4* data=2 binaryData=3
        Secret metadata=1 immutable=5* data=2 stringData=4 type=3
        ServiceAccount metadata=1 secrets=2 imagePullSecrets=3 automountServiceAccountToken=4*
        Pod metadata=1 spec=2 status=3-
        Service metadata=1 spec=2 status=3-
        Deployment metadata=1 spec=2 status=3-
        Job metadata=1 spec=2 status=3-
        CronJob metadata=1 spec=2 status=3-
        Role metadata=1 rules=2
        ClusterRole metadata=1 rules=2 aggregationRule=3*
        RoleBinding metadata=1 subjects=2 roleRef=3
        ClusterRoleBinding metadata=1 subjects=2 roleRef=3
        Ingress metadata=1 spec=2 status=3-
        PodDisruptionBudget metadata=1 spec=2 status=3-
        PriorityClass metadata=1 value=2 globalDefault=3 description=4 preemptionPolicy=5*
        ObjectMeta name=1 generateName=2 namespace=3 selfLink=4 uid=5 resourceVersion=6 generation=7
          creationTimestamp=8 deletionTimestamp=9* deletionGracePeriodSeconds=10* labels=11 annotations=12
          ownerReferences=13 finalizers=14
        NamespaceSpec finalizers=1
        ObjectReference kind=1 namespace=2 name=3 uid=4 apiVersion=5 resourceVersion=6 fieldPath=7
        LocalObjectReference name=1
        PodSpec volumes=1 initContainers=20 containers=2 ephemeralContainers=34 restartPolicy=3
          terminationGracePeriodSeconds=4* activeDeadlineSeconds=5* dnsPolicy=6 nodeSelector=7
          serviceAccountName=8 serviceAccount=9 automountServiceAccountToken=21* nodeName=10 hostNetwork=11
          hostPID=12 hostIPC=13 shareProcessNamespace=27* securityContext=14* imagePullSecrets=15
          hostname=16 subdomain=17 schedulerName=19 tolerations=22 hostAliases=23 priorityClassName=24
          priority=25* dnsConfig=26* readinessGates=28 runtimeClassName=29* enableServiceLinks=30*
          preemptionPolicy=31* overhead=32 topologySpreadConstraints=33 setHostnameAsFQDN=35* os=36*
          hostUsers=37* resources=40*
        ServiceSpec ports=1 selector=2 clusterIP=3 clusterIPs=18 type=4 externalIPs=5 sessionAffinity=7
          loadBalancerIP=8 loadBalancerSourceRanges=9 externalName=10 externalTrafficPolicy=11
          healthCheckNodePort=12 publishNotReadyAddresses=13 ipFamilies=19 ipFamilyPolicy=17*
          allocateLoadBalancerNodePorts=20* loadBalancerClass=21* internalTrafficPolicy=22*
          trafficDistribution=23*
        DeploymentSpec replicas=1* selector=2* template=3 strategy=4 minReadySeconds=5
          revisionHistoryLimit=6* paused=7 progressDeadlineSeconds=9*
        JobSpec parallelism=1* completions=2* activeDeadlineSeconds=3* backoffLimit=7*
          backoffLimitPerIndex=12* maxFailedIndexes=13* selector=4* manualSelector=5* template=6
          ttlSecondsAfterFinished=8* completionMode=9* suspend=10* podReplacementPolicy=14* managedBy=15*
        CronJobSpec schedule=1 timeZone=8* startingDeadlineSeconds=2* concurrencyPolicy=3 suspend=4*
          jobTemplate=5 successfulJobsHistoryLimit=6* failedJobsHistoryLimit=7*
        PolicyRule verbs=1 apiGroups=2 resources=3 resourceNames=4 nonResourceURLs=5
        AggregationRule clusterRoleSelectors=1
        Subject kind=1 apiGroup=2 name=3 namespace=4
        RoleRef apiGroup=1 kind=2 name=3
        IngressSpec ingressClassName=4* defaultBackend=1* tls=2 rules=3
        PodDisruptionBudgetSpec minAvailable=1* selector=2* maxUnavailable=3* unhealthyPodEvictionPolicy=4*
        OwnerReference apiVersion=5 kind=1 name=3 uid=4 controller=6* blockOwnerDeletion=7*
        Volume name=1 hostPath=2.1* emptyDir=2.2* secret=2.6* persistentVolumeClaim=2.10* downwardAPI=2.16*
          configMap=2.19* projected=2.26*
        Container name=1 image=2 command=3 args=4 workingDir=5 ports=6 envFrom=19 env=7 resources=8
          restartPolicy=24* volumeMounts=9 volumeDevices=21 livenessProbe=10* readinessProbe=11*
          startupProbe=22* lifecycle=12* terminationMessagePath=13 terminationMessagePolicy=20
          imagePullPolicy=14 securityContext=15* stdin=16 stdinOnce=17 tty=18
        EphemeralContainer name=1.1 image=1.2 command=1.3 args=1.4 workingDir=1.5 ports=1.6 envFrom=1.19
          env=1.7 resources=1.8 volumeMounts=1.9 livenessProbe=1.10* readinessProbe=1.11* startupProbe=1.22*
          lifecycle=1.12* terminationMessagePath=1.13 terminationMessagePolicy=1.20 imagePullPolicy=1.14
          securityContext=1.15* stdin=1.16 stdinOnce=1.17 tty=1.18 targetContainerName=2
        PodSecurityContext runAsUser=2* runAsGroup=6* runAsNonRoot=3* supplementalGroups=4
          supplementalGroupsPolicy=12* fsGroup=5* sysctls=7 fsGroupChangePolicy=9* seccompProfile=10*
          appArmorProfile=11* seLinuxChangePolicy=13*
        Toleration key=1 operator=2 value=3 effect=4 tolerationSeconds=5*
        HostAlias ip=1 hostnames=2
        PodDNSConfig nameservers=1 searches=2 options=3
        ReadinessGate conditionType=1
        TopologySpreadConstraint maxSkew=1 topologyKey=2 whenUnsatisfiable=3 labelSelector=4* minDomains=5*
          nodeAffinityPolicy=6* nodeTaintsPolicy=7* matchLabelKeys=8
        PodOS name=1
        ResourceRequirements limits=1 requests=2
        ServicePort name=1 protocol=2 appProtocol=6* port=3 targetPort=4 nodePort=5
        LabelSelector matchLabels=1 matchExpressions=2
        PodTemplateSpec metadata=1 spec=2
        DeploymentStrategy type=1 rollingUpdate=2*
        JobTemplateSpec metadata=1 spec=2
        IngressBackend service=4* resource=3*
        IngressTLS hosts=1 secretName=2
        IngressRule host=1 http=2.1*
        HostPathVolume path=1 type=2*
        EmptyDirVolume medium=1 sizeLimit=2*
        SecretVolume secretName=1 items=2 defaultMode=3* optional=4*
        ClaimVolume claimName=1 readOnly=2
        DownwardAPIVolume items=1 defaultMode=2*
        ConfigMapVolume name=1.1 items=2 defaultMode=3* optional=4*
        ProjectedVolume sources=1 defaultMode=2*
        ContainerPort name=1 hostPort=2 containerPort=3 protocol=4 hostIP=5
        EnvFromSource prefix=1 configMapRef=2* secretRef=3*
        EnvVar name=1 value=2 valueFrom=3*
        VolumeMount name=1 readOnly=2 recursiveReadOnly=7* mountPath=3 subPath=4 mountPropagation=5*
          subPathExpr=6
        VolumeDevice name=1 devicePath=2
        Probe exec=1.1* httpGet=1.2* tcpSocket=1.3* grpc=1.4* initialDelaySeconds=2 timeoutSeconds=3
          periodSeconds=4 successThreshold=5 failureThreshold=6 terminationGracePeriodSeconds=7*
        Lifecycle postStart=1* preStop=2* stopSignal=3*
        SecurityContext capabilities=1* privileged=2* runAsUser=4* runAsGroup=8* runAsNonRoot=5*
          readOnlyRootFilesystem=6* allowPrivilegeEscalation=7* procMount=9* seccompProfile=11*
          appArmorProfile=12*
        NameValue name=1 value=2
        SeccompProfile type=1 localhostProfile=2*
        DNSOption name=1 value=2*
        LabelSelectorRequirement key=1 operator=2 values=3
        RollingUpdate maxUnavailable=1* maxSurge=2*
        IngressServiceBackend name=1 port=2
        TypedLocalObjectReference apiGroup=1* kind=2 name=3
        HTTPIngressRuleValue paths=1
        KeyToPath key=1 path=2 mode=3*
        DownwardAPIFile path=1 fieldRef=2* resourceFieldRef=3* mode=4*
        VolumeProjection secret=1* downwardAPI=2* configMap=3* serviceAccountToken=4*
        OptionalReference name=1.1 optional=2*
        EnvVarSource fieldRef=1* resourceFieldRef=2* configMapKeyRef=3* secretKeyRef=4*
        ExecAction command=1
        HTTPGetAction path=1 port=2 host=3 scheme=4 httpHeaders=5
        TCPSocketAction port=1 host=2
        GRPCAction port=1 service=2*
        LifecycleHandler exec=1* httpGet=2* tcpSocket=3* sleep=4*
        Capabilities add=1 drop=2
        ServiceBackendPort name=1 number=2
        HTTPIngressPath path=1 pathType=3* backend=2
        ObjectFieldSelector apiVersion=1 fieldPath=2
        ResourceFieldSelector containerName=1 resource=2 divisor=3
        ProjectedItems name=1.1 items=2 optional=4*
        ProjectedDownward items=1
        TokenProjection audience=1 expirationSeconds=2* path=3
        KeySelector name=1.1 key=2 optional=3*
        SleepAction seconds=1
        ResourceQuota metadata=1 spec=2 status=3-
        ResourceQuotaSpec hard=1 scopes=2
        DeleteOptions gracePeriodSeconds=1* preconditions=2* orphanDependents=3* propagationPolicy=4* dryRun=5
        Preconditions uid=1* resourceVersion=2*
        Eviction metadata=1 deleteOptions=2*
        TokenRequest metadata=1 spec=2 status=3-
        TokenRequestSpec audiences=1 expirationSeconds=4* boundObjectRef=3*
        BoundObjectReference kind=1 apiVersion=2 name=3 uid=4
        SelfSubjectReview metadata=1 status=2-
        SelfSubjectAccessReview metadata=1 spec=2 status=3-
        SelfSubjectRulesReview metadata=1 spec=2 status=3-
        SelfSubjectAccessReviewSpec resourceAttributes=1* nonResourceAttributes=2*
        ResourceAttributes namespace=1 verb=2 group=3 version=4 resource=5 subresource=6 name=7
        NonResourceAttributes path=1 verb=2
        SelfSubjectRulesReviewSpec namespace=1
        """
}
