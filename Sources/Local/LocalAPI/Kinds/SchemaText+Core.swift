/// The schema language's texts, by area.
enum SchemaText {
    static let all = [meta, pod, core, workloads, policy, cluster]

    static let meta = """
        ObjectMeta name:string generateName:string namespace:string selfLink:string uid:string
          resourceVersion:string generation:int creationTimestamp:time deletionTimestamp:time
          deletionGracePeriodSeconds:int labels:{}string annotations:{}string
          ownerReferences:[]OwnerReference/uid finalizers:[]string/+ managedFields:[]any
        OwnerReference apiVersion:string! kind:string! name:string! uid:string! controller:bool
          blockOwnerDeletion:bool
        LabelSelector matchLabels:{}string matchExpressions:[]LabelSelectorRequirement
        LabelSelectorRequirement key:string! operator:string! values:[]string
        Condition type:string! status:string! observedGeneration:int lastTransitionTime:time reason:string
          message:string
        ObjectReference kind:string namespace:string name:string uid:string apiVersion:string
          resourceVersion:string fieldPath:string
        LocalObjectReference name:string
        TypedLocalObjectReference apiGroup:string kind:string! name:string! namespace:string
        """

    static let core = """
        Namespace apiVersion:string kind:string metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
        NamespaceSpec finalizers:[]string
        NamespaceStatus phase:string conditions:[]NamespaceCondition/type
        NamespaceCondition type:string! status:string! lastTransitionTime:time reason:string message:string
        Node apiVersion:string kind:string metadata:ObjectMeta spec:NodeSpec status:NodeStatus
        NodeSpec podCIDR:string podCIDRs:[]string/+ providerID:string unschedulable:bool taints:[]Taint
          externalID:string configSource:any
        Taint key:string! value:string effect:string! timeAdded:time
        NodeStatus capacity:{}quantity allocatable:{}quantity phase:string conditions:[]NodeCondition/type
          addresses:[]NodeAddress/type daemonEndpoints:any nodeInfo:{}any images:[]any volumesInUse:[]string
          volumesAttached:[]any config:any runtimeHandlers:[]any features:any
        NodeCondition type:string! status:string! lastHeartbeatTime:time lastTransitionTime:time reason:string
          message:string
        NodeAddress type:string! address:string!
        Service apiVersion:string kind:string metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
        ServiceSpec ports:[]ServicePort/port selector:{}string clusterIP:string clusterIPs:[]string
          type:string=ClusterIP externalIPs:[]string sessionAffinity:string=None loadBalancerIP:string
          loadBalancerSourceRanges:[]string externalName:string externalTrafficPolicy:string
          healthCheckNodePort:int publishNotReadyAddresses:bool sessionAffinityConfig:any
          ipFamilies:[]string ipFamilyPolicy:string allocateLoadBalancerNodePorts:bool
          loadBalancerClass:string internalTrafficPolicy:string trafficDistribution:string
        ServicePort name:string protocol:string=TCP appProtocol:string port:int! targetPort:intstr nodePort:int
        ServiceStatus loadBalancer:any={} conditions:[]Condition/type
        Endpoints apiVersion:string kind:string metadata:ObjectMeta subsets:[]EndpointSubset
        EndpointSubset addresses:[]EndpointAddress notReadyAddresses:[]EndpointAddress ports:[]EndpointPort
        EndpointAddress ip:string! hostname:string nodeName:string targetRef:ObjectReference
        EndpointPort name:string port:int protocol:string=TCP appProtocol:string
        ConfigMap apiVersion:string kind:string metadata:ObjectMeta data:{}string binaryData:{}bytes
          immutable:bool
        Secret apiVersion:string kind:string metadata:ObjectMeta data:{}bytes stringData:{}string
          type:string=Opaque immutable:bool
        ServiceAccount apiVersion:string kind:string metadata:ObjectMeta secrets:[]ObjectReference/name
          imagePullSecrets:[]LocalObjectReference automountServiceAccountToken:bool
        Event apiVersion:string kind:string metadata:ObjectMeta involvedObject:ObjectReference! reason:string
          message:string source:EventSource firstTimestamp:time lastTimestamp:time count:int type:string
          eventTime:time series:any action:string related:ObjectReference reportingComponent:string
          reportingInstance:string
        EventSource component:string host:string
        ResourceQuota apiVersion:string kind:string metadata:ObjectMeta spec:ResourceQuotaSpec status:any
        ResourceQuotaSpec hard:{}quantity scopeSelector:any scopes:[]string
        LimitRange apiVersion:string kind:string metadata:ObjectMeta spec:LimitRangeSpec
        LimitRangeSpec limits:[]LimitRangeItem!
        LimitRangeItem type:string! max:{}quantity min:{}quantity default:{}quantity
          defaultRequest:{}quantity maxLimitRequestRatio:{}quantity
        PersistentVolumeClaim apiVersion:string kind:string metadata:ObjectMeta
          spec:PersistentVolumeClaimSpec status:PersistentVolumeClaimStatus
        PersistentVolumeClaimSpec accessModes:[]string selector:LabelSelector resources:ResourceRequirements={}
          volumeName:string storageClassName:string volumeMode:string=Filesystem
          dataSource:TypedLocalObjectReference dataSourceRef:TypedLocalObjectReference
          volumeAttributesClassName:string
        PersistentVolumeClaimStatus phase:string accessModes:[]string capacity:{}quantity
          conditions:[]Condition/type allocatedResources:{}quantity allocatedResourceStatuses:{}string
          currentVolumeAttributesClassName:string modifyVolumeStatus:any
        PersistentVolume apiVersion:string kind:string metadata:ObjectMeta spec:PersistentVolumeSpec
          status:PersistentVolumeStatus
        PersistentVolumeSpec capacity:{}quantity accessModes:[]string claimRef:ObjectReference
          persistentVolumeReclaimPolicy:string=Retain storageClassName:string mountOptions:[]string
          volumeMode:string=Filesystem nodeAffinity:any hostPath:any local:any nfs:any csi:any iscsi:any
          awsElasticBlockStore:any gcePersistentDisk:any azureDisk:any azureFile:any cephfs:any cinder:any
          fc:any flexVolume:any flocker:any glusterfs:any photonPersistentDisk:any portworxVolume:any
          quobyte:any rbd:any scaleIO:any storageos:any vsphereVolume:any volumeAttributesClassName:string
        PersistentVolumeStatus phase:string message:string reason:string lastPhaseTransitionTime:time
        """

    static let policy = """
        Role apiVersion:string kind:string metadata:ObjectMeta rules:[]PolicyRule
        ClusterRole apiVersion:string kind:string metadata:ObjectMeta rules:[]PolicyRule
          aggregationRule:AggregationRule
        AggregationRule clusterRoleSelectors:[]LabelSelector
        PolicyRule verbs:[]string! apiGroups:[]string resources:[]string resourceNames:[]string
          nonResourceURLs:[]string
        RoleBinding apiVersion:string kind:string metadata:ObjectMeta subjects:[]Subject roleRef:RoleRef!
        ClusterRoleBinding apiVersion:string kind:string metadata:ObjectMeta subjects:[]Subject roleRef:RoleRef!
        Subject kind:string! apiGroup:string name:string! namespace:string
        RoleRef apiGroup:string kind:string! name:string!
        PodDisruptionBudget apiVersion:string kind:string metadata:ObjectMeta spec:PodDisruptionBudgetSpec
          status:PodDisruptionBudgetStatus
        PodDisruptionBudgetSpec minAvailable:intstr maxUnavailable:intstr selector:LabelSelector
          unhealthyPodEvictionPolicy:string
        PodDisruptionBudgetStatus observedGeneration:int disruptedPods:{}time disruptionsAllowed:int
          currentHealthy:int desiredHealthy:int expectedPods:int conditions:[]Condition/type
        NetworkPolicy apiVersion:string kind:string metadata:ObjectMeta spec:NetworkPolicySpec status:any
        NetworkPolicySpec podSelector:LabelSelector ingress:[]any egress:[]any policyTypes:[]string
        Ingress apiVersion:string kind:string metadata:ObjectMeta spec:IngressSpec status:IngressStatus
        IngressSpec ingressClassName:string defaultBackend:IngressBackend tls:[]IngressTLS rules:[]IngressRule
        IngressStatus loadBalancer:any
        IngressTLS hosts:[]string secretName:string
        IngressRule host:string http:HTTPIngressRuleValue
        HTTPIngressRuleValue paths:[]HTTPIngressPath!
        HTTPIngressPath path:string pathType:string! backend:IngressBackend!
        IngressBackend service:IngressServiceBackend resource:TypedLocalObjectReference
        IngressServiceBackend name:string! port:ServiceBackendPort
        ServiceBackendPort name:string number:int
        IngressClass apiVersion:string kind:string metadata:ObjectMeta spec:IngressClassSpec
        IngressClassSpec controller:string parameters:TypedLocalObjectReference
        """

    static let cluster = """
        Lease apiVersion:string kind:string metadata:ObjectMeta spec:LeaseSpec
        LeaseSpec holderIdentity:string leaseDurationSeconds:int acquireTime:time renewTime:time
          leaseTransitions:int strategy:string preferredHolder:string
        EndpointSlice apiVersion:string kind:string metadata:ObjectMeta addressType:string!
          endpoints:[]Endpoint ports:[]SlicePort
        Endpoint addresses:[]string! conditions:EndpointConditions hostname:string targetRef:ObjectReference
          deprecatedTopology:{}string nodeName:string zone:string hints:any
        EndpointConditions ready:bool serving:bool terminating:bool
        SlicePort name:string protocol:string=TCP port:int appProtocol:string
        MutatingWebhookConfiguration apiVersion:string kind:string metadata:ObjectMeta
          webhooks:[]Webhook/name
        ValidatingWebhookConfiguration apiVersion:string kind:string metadata:ObjectMeta
          webhooks:[]Webhook/name
        Webhook name:string! clientConfig:WebhookClientConfig! rules:[]WebhookRule failurePolicy:string=Fail
          matchPolicy:string=Equivalent namespaceSelector:LabelSelector={} objectSelector:LabelSelector={}
          sideEffects:string! timeoutSeconds:int=10 admissionReviewVersions:[]string!
          reinvocationPolicy:string matchConditions:[]any
        WebhookClientConfig url:string service:WebhookServiceReference caBundle:bytes
        WebhookServiceReference namespace:string! name:string! path:string port:int=443
        WebhookRule operations:[]string apiGroups:[]string apiVersions:[]string resources:[]string
          scope:string=*
        APIService apiVersion:string kind:string metadata:ObjectMeta spec:APIServiceSpec status:APIServiceStatus
        APIServiceSpec service:WebhookServiceReference group:string version:string insecureSkipTLSVerify:bool
          caBundle:bytes groupPriorityMinimum:int! versionPriority:int!
        APIServiceStatus conditions:[]Condition/type
        PriorityClass apiVersion:string kind:string metadata:ObjectMeta value:int! globalDefault:bool
          description:string preemptionPolicy:string=PreemptLowerPriority
        StorageClass apiVersion:string kind:string metadata:ObjectMeta provisioner:string! parameters:{}string
          reclaimPolicy:string=Delete mountOptions:[]string allowVolumeExpansion:bool
          volumeBindingMode:string=Immediate allowedTopologies:[]any
        CustomResourceDefinition apiVersion:string kind:string metadata:ObjectMeta spec:CRDSpec! status:CRDStatus
        CRDSpec group:string! names:CRDNames! scope:string! versions:[]CRDVersion! conversion:any
          preserveUnknownFields:bool
        CRDNames plural:string! singular:string shortNames:[]string kind:string! listKind:string
          categories:[]string
        CRDVersion name:string! served:bool! storage:bool! deprecated:bool deprecationWarning:string schema:any
          subresources:any additionalPrinterColumns:[]CRDColumn selectableFields:[]any
        CRDColumn name:string! type:string! format:string description:string priority:int jsonPath:string!
        CRDStatus conditions:[]Condition/type acceptedNames:any storedVersions:[]string
        DeleteOptions apiVersion:string kind:string gracePeriodSeconds:int preconditions:Preconditions
          orphanDependents:bool propagationPolicy:string dryRun:[]string
        Preconditions uid:string resourceVersion:string
        Eviction apiVersion:string kind:string metadata:ObjectMeta deleteOptions:DeleteOptions
        TokenRequest apiVersion:string kind:string metadata:ObjectMeta spec:TokenRequestSpec status:any
        TokenRequestSpec audiences:[]string expirationSeconds:int boundObjectRef:BoundObjectReference
        BoundObjectReference kind:string apiVersion:string name:string uid:string
        SelfSubjectReview apiVersion:string kind:string metadata:ObjectMeta status:any
        SelfSubjectAccessReview apiVersion:string kind:string metadata:ObjectMeta
          spec:SelfSubjectAccessReviewSpec status:any
        SelfSubjectAccessReviewSpec resourceAttributes:ResourceAttributes
          nonResourceAttributes:NonResourceAttributes
        ResourceAttributes namespace:string verb:string group:string version:string resource:string
          subresource:string name:string
        NonResourceAttributes path:string verb:string
        SelfSubjectRulesReview apiVersion:string kind:string metadata:ObjectMeta
          spec:SelfSubjectRulesReviewSpec status:any
        SelfSubjectRulesReviewSpec namespace:string
        Scale apiVersion:string kind:string metadata:ObjectMeta spec:ScaleSpec status:ScaleStatus
        ScaleSpec replicas:int
        ScaleStatus replicas:int selector:string
        """
}
